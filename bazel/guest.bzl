"""guest_repository: what tests in a QEMU guest depend on outside the checkout, as @NAME//:guest."""

_BUILD = """
# Links, which Bazel looks behind before every build: a test that was skipped for want of a guest runs when there is
# one, and again when its kernel is another.
filegroup(
    name = "guest",
    srcs = glob(["kernel", "qemu"], allow_empty = True),
    visibility = ["//visibility:public"],
)
"""

def _impl(ctx):
    script = ctx.path(Label("@//tests/vm:kernel.py"))
    ctx.path(Label("@//third_party/linux:packages.sha256"))  # Another version, another folder.
    result = ctx.execute(["python3", "-B", script, "--where"])
    if result.return_code != 0:
        fail("%s --where failed: %s" % (script, result.stderr))
    ctx.file("WORKSPACE", "workspace(name = %r)\n" % ctx.name)
    ctx.symlink(result.stdout.strip() + "/identity", "kernel")
    ctx.symlink("/usr/bin/qemu-system-x86_64", "qemu")
    ctx.file("BUILD.bazel", _BUILD)

guest_repository = repository_rule(
    implementation = _impl,
    environ = ["SLUICE_KERNEL_DIR"],
    local = True,
    configure = True,
)
