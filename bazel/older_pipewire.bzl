"""older_pipewire_repository: the PipeWire that third_party/pipewire/older.py unpacked, as @NAME//:lib.

Where there is none, OLDER_PIPEWIRE in @NAME//:defs.bzl is empty: the targets that need it are left out, and their test
says why it is skipped.
"""

_BUILD = """
package(default_visibility = ["//visibility:public"])

cc_library(
    name = "lib",
    hdrs = glob(["include/**"]),
    includes = ["include/pipewire-0.3", "include/spa-0.2"],
    linkopts = ["{library}"],
)
"""

def _impl(ctx):
    ctx.file("WORKSPACE", "workspace(name = %r)\n" % ctx.name)
    found = ctx.execute([ctx.which("python3"), ctx.path(ctx.attr.script), "--folder"])
    folder = found.stdout.strip()
    if found.return_code != 0 or not ctx.path(folder).exists:
        ctx.file("BUILD.bazel", "")
        ctx.file("defs.bzl", "OLDER_PIPEWIRE = \"\"\n")
        return
    library = "%s/usr/lib/x86_64-linux-gnu/libpipewire-0.3.so.0" % folder
    ctx.symlink(folder + "/usr/include", "include")
    ctx.file("BUILD.bazel", _BUILD.format(library = library))
    ctx.file("defs.bzl", "OLDER_PIPEWIRE = %r\n" % folder)

older_pipewire_repository = repository_rule(
    implementation = _impl,
    attrs = {"script": attr.label(mandatory = True)},
    environ = ["SLUICE_OLDER_PIPEWIRE_DIR"],
    local = True,
    configure = True,
)
