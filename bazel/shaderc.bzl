"""shaderc_repository: Debian's shaderc, linked statically.

Debian's libshaderc.so leaves symbols of glslang and SPIRV-Tools to its executable (which glslc has), and shaderc.pc
does not say so: a program linked as it says either does not link or crashes. Its static libraries work, with those of
glslang and SPIRV-Tools named in order. Which of them glslang is split into differs from release to release.
"""

_LIBRARIES = [
    "shaderc_combined",
    "glslang",
    "MachineIndependent",
    "GenericCodeGen",
    "OSDependent",
    "OGLCompiler",
    "SPIRV",
    "SPIRV-Tools-opt",
    "SPIRV-Tools",
]

_BUILD = """
package(default_visibility = ["//visibility:public"])

# Headers are on the compiler's own path.
cc_library(name = "lib", linkopts = {linkopts})
"""

def _impl(ctx):
    compiler = ctx.which("g++")
    if not compiler:
        fail("g++ not found: run ./setup")
    linkopts = []
    for library in _LIBRARIES:
        archive = "lib%s.a" % library
        # The compiler answers with the bare name where it finds no such file.
        if ctx.execute([compiler, "-print-file-name=" + archive]).stdout.strip() != archive:
            linkopts.append("-l:" + archive)
        elif library == "shaderc_combined":
            fail("%s not found: run ./setup" % archive)
    ctx.file("WORKSPACE", "workspace(name = %r)\n" % ctx.name)
    ctx.file("BUILD.bazel", _BUILD.format(linkopts = repr(linkopts + ["-lpthread"])))

shaderc_repository = repository_rule(implementation = _impl, local = True, configure = True)
