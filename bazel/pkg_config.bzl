"""pkg_config_repository: a system library, as pkg-config describes it, as @NAME//:lib."""

_BUILD = """
package(default_visibility = ["//visibility:public"])

cc_library(
    name = "lib",
    hdrs = glob(["include/**"], allow_empty = True),
    includes = {includes},
    defines = {defines},
    linkopts = {linkopts},
)
"""

def _query(ctx, args):
    result = ctx.execute(args)
    if result.return_code != 0:
        fail("%s failed (run ./setup?): %s" % (" ".join(args), result.stderr))
    return [word for word in result.stdout.replace("\n", " ").split(" ") if word]

def _is_compilers_own(path):
    """The compiler searches /usr/include and its multiarch folder by itself; a symlink to them would be all of the system."""
    return path == "/usr/include" or (path.startswith("/usr/include/") and path.endswith("-linux-gnu"))

def _impl(ctx):
    pkg_config = ctx.which("pkg-config")
    if not pkg_config:
        fail("pkg-config not found: run ./setup")
    modules = ctx.attr.modules
    ctx.file("WORKSPACE", "workspace(name = %r)\n" % ctx.name)
    includes = []
    defines = []
    for flag in _query(ctx, [pkg_config, "--cflags"] + modules):
        if flag.startswith("-I") and not _is_compilers_own(flag[2:]):
            name = "include/%d" % len(includes)
            ctx.symlink(flag[2:], name)
            includes.append(name)
        elif flag.startswith("-D"):
            defines.append(flag[2:])
    ctx.file("BUILD.bazel", _BUILD.format(
        includes = repr(includes),
        defines = repr(defines),
        linkopts = repr(_query(ctx, [pkg_config, "--libs"] + modules)),
    ))

pkg_config_repository = repository_rule(
    implementation = _impl,
    attrs = {
        "modules": attr.string_list(mandatory = True),
    },
    environ = ["PKG_CONFIG_PATH"],
    local = True,
    configure = True,
)
