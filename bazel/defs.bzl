"""What a workspace needs to build Sluice: offline stand-ins and system libraries."""

load(":compat.bzl", "COMPAT_REPOSITORIES", "bazel_compat_repository")
load(":pkg_config.bzl", "pkg_config_repository")
load(":shaderc.bzl", "shaderc_repository")

_SYSTEM_LIBRARIES = {
    "benchmark_sys": ["benchmark"],
    "ffmpeg_sys": ["libavformat", "libavcodec", "libavutil", "libswscale"],
    "fmt_sys": ["fmt"],
    "gmock_sys": ["gmock"],
    "gtest_main_sys": ["gtest_main"],
    "gtest_sys": ["gtest"],
    "libdrm_sys": ["libdrm"],
    "nettle_sys": ["nettle"],
    "pipewire_sys": ["libpipewire-0.3"],
    "spdlog_sys": ["spdlog"],
    "udev_sys": ["libudev"],
    "vulkan_sys": ["vulkan"],
    "yaml_cpp_sys": ["yaml-cpp"],
}

def sluice_dependencies():
    for name in COMPAT_REPOSITORIES:
        if not native.existing_rule(name):
            bazel_compat_repository(name = name)
    for name, modules in _SYSTEM_LIBRARIES.items():
        if not native.existing_rule(name):
            pkg_config_repository(name = name, modules = modules)
    if not native.existing_rule("shaderc_sys"):
        shaderc_repository(name = "shaderc_sys")
