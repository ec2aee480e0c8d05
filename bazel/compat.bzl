"""Stand-ins for the four repositories that Bazel 4 would otherwise download by itself."""

_CC_RULES = [
    "cc_binary",
    "cc_import",
    "cc_library",
    "cc_proto_library",
    "cc_test",
    "cc_toolchain",
    "cc_toolchain_suite",
    "fdo_prefetch_hints",
    "fdo_profile",
    "objc_import",
    "objc_library",
]
_JAVA_RULES = ["java_binary", "java_import", "java_library", "java_runtime", "java_test", "java_toolchain"]

def _forward(rules):
    return "".join(["%s = native.%s\n" % (rule, rule) for rule in rules])

_COVERAGE = """
package(default_visibility = ["//visibility:public"])
filegroup(name = "coverage_output_generator")
filegroup(name = "coverage_report_generator")
filegroup(name = "lcov_merger")
"""

_FILES = {
    "remote_coverage_tools": {"BUILD": _COVERAGE},
    "rules_cc": {"cc/BUILD": "", "cc/defs.bzl": _forward(_CC_RULES)},
    "rules_java": {"java/BUILD": "", "java/defs.bzl": _forward(_JAVA_RULES)},
    "rules_proto": {"proto/BUILD": "", "proto/defs.bzl": "proto_library = native.proto_library\n"},
}

COMPAT_REPOSITORIES = _FILES.keys()

def _impl(ctx):
    ctx.file("WORKSPACE", "workspace(name = %r)\n" % ctx.name)
    for path, text in _FILES[ctx.name].items():
        ctx.file(path, text)

bazel_compat_repository = repository_rule(implementation = _impl, local = True)
