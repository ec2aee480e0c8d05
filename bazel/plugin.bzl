"""sluice_plugin: a node plugin, a shared object that exports one symbol and carries its manifest."""

load("//bazel:copts.bzl", "SLUICE_PLUGIN_COPTS")

def sluice_plugin(name, srcs, manifest, deps = [], copts = [], linkopts = [], visibility = None, testonly = None):
    """Builds NAME.so; the target `name` stands for the finished file.

    The manifest's bytes are in the ELF section .sluice.manifest, so that they can be read without loading
    the plugin; its SHA-256 in hexadecimal is the C string `sluice_manifest_sha256` (not exported), and
    SLUICE_MANIFEST_HASH is defined in every source as the first 16 digits, for sluice_entry.manifest_hash.

    Args:
      name: of the plugin.
      srcs: C and C++ sources and private headers.
      manifest: the YAML manifest.
      deps: cc_library targets, linked in statically. //plugins/abi is added for the manifest's sake by the author.
      copts: more compiler options.
      linkopts: more linker options.
      visibility: of both targets.
      testonly: as everywhere.
    """
    object_src = name + "_manifest.c"
    hash_header = name + "_manifest_hash.h"
    native.genrule(
        name = name + "_manifest_hash",
        srcs = [manifest],
        outs = [hash_header],
        cmd = "echo \"#define SLUICE_MANIFEST_HASH 0x$$(sha256sum < $(location %s) | cut -c1-16)ull\" > $@" % manifest,
        testonly = testonly,
    )
    native.genrule(
        name = name + "_manifest_c",
        srcs = [manifest],
        outs = [object_src],
        tools = ["//bazel:embed_manifest.sh"],
        cmd = "bash $(location //bazel:embed_manifest.sh) $(location %s) > $@" % manifest,
        testonly = testonly,
    )
    native.cc_binary(
        name = name + ".so",
        srcs = srcs + [object_src, hash_header],
        copts = SLUICE_PLUGIN_COPTS + ["-include", "$(location %s)" % hash_header] + copts,
        linkopts = [
            "-Wl,--version-script=$(location //bazel:plugin.lds)",
        ] + select({
            # The sanitizers' own symbols come from the executable that loads the plugin.
            "//bazel:sanitizer_asan": [],
            "//bazel:sanitizer_tsan": [],
            "//conditions:default": ["-Wl,--no-undefined"],
        }) + linkopts,
        linkshared = True,
        linkstatic = True,
        deps = deps + ["//bazel:plugin.lds"],
        testonly = testonly,
        visibility = visibility,
    )
    native.filegroup(
        name = name,
        srcs = [name + ".so"],
        testonly = testonly,
        visibility = visibility,
    )
