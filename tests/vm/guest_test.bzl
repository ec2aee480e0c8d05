"""Tests that run in a QEMU guest with a real Debian kernel; docs/vm.md explains them."""

load("//bazel:copts.bzl", "SLUICE_COPTS")

def guest_case(command, timeout = 60, allow = []):
    """One command of a guest_test.

    Args:
      command: words; the first is a label of a program or the name of one of the machine's. $(rootpath LABEL) is
        expanded in all of them, for labels in `data`.
      timeout: seconds that it may take in the guest, where everything is slow.
      allow: regular expressions of kernel warnings that are no failure.
    """
    return {"command": command, "timeout": timeout, "allow": allow}

def _guest_job_impl(ctx):
    job = json.decode(ctx.attr.job)
    for case in job["cases"]:
        case["command"] = [ctx.expand_location(word, ctx.attr.data) for word in case["command"]]
    output = ctx.actions.declare_file(ctx.label.name + ".json")
    ctx.actions.write(output, json.encode(job))
    return [DefaultInfo(files = depset([output]), runfiles = ctx.runfiles(files = [output]))]

_guest_job = rule(
    implementation = _guest_job_impl,
    attrs = {
        "job": attr.string(mandatory = True),
        "data": attr.label_list(allow_files = True),
    },
)

def _is_label(word):
    return word.startswith(":") or word.startswith("//") or word.startswith("@")

def guest_test(
        name,
        cases,
        modules = [],
        udev = False,
        allow = [],
        memory_mb = 3072,
        data = [],
        size = "large",
        tags = [],
        **kwargs):
    """Boots one guest and runs the cases in it, one after another.

    A case that is a gtest program is counted by its own cases; any other command passes with exit status 0 and is
    skipped with 77. A kernel warning fails the case during which it came. Without QEMU or its kernel the test is
    skipped, with the reason.

    Args:
      name: of the test.
      cases: name -> words of a command, or guest_case(...).
      modules: kernel modules to load first, in order, each with its options: "vkms enable_overlay=1".
      udev: whether udevd runs in the guest.
      allow: regular expressions of kernel warnings that are no failure while modules are loaded.
      memory_mb: of the guest.
      data: as for any test.
      size: as for any test; its time-out bounds the whole boot.
      tags: as for any test.
      **kwargs: as for any test.
    """
    data = list(data)
    all_cases = []
    for case_name, case in cases.items():
        case = dict(case if type(case) == "dict" else guest_case(case), name = case_name)
        program = case["command"][0]
        if _is_label(program):
            if program not in data:
                data.append(program)
            case["command"] = ["$(rootpath %s)" % program] + case["command"][1:]
        all_cases.append(case)
    job = name + "_job"
    _guest_job(
        name = job,
        job = json.encode(struct(
            name = name,
            cases = all_cases,
            modules = modules,
            udev = udev,
            allow = allow,
            memory_mb = memory_mb,
        )),
        data = data,
        tags = ["manual"],
        testonly = True,
    )
    native.sh_test(
        name = name,
        size = size,
        srcs = ["//tests/vm:guest_test.sh"],
        args = ["$(rootpath :%s)" % job],
        data = data + [":" + job, "//tests/vm:harness"],
        # A guest takes two processors, and sanitizers say nothing about what is tested here: the kernel's side.
        tags = ["cpu:2", "no_san"] + tags,
        **kwargs
    )

def guest_cc_test(name, srcs, deps = [], timeout_s = 300, args = [], data = [], modules = [], udev = False, **kwargs):
    """A gtest program and the guest_test that runs it.

    Args:
      name: of the test.
      srcs: of the program.
      deps: of the program; gtest_main is among them already.
      timeout_s: seconds that the program may take in the guest.
      args: of the program.
      data: of the test.
      modules: see guest_test.
      udev: see guest_test.
      **kwargs: for guest_test.
    """
    program = name + "_program"
    native.cc_binary(
        name = program,
        testonly = True,
        srcs = srcs,
        copts = SLUICE_COPTS,
        tags = ["manual"],
        deps = deps + ["//third_party/gtest:gtest_main"],
    )
    guest_test(
        name = name,
        cases = {name: guest_case([":" + program] + args, timeout = timeout_s)},
        modules = modules,
        udev = udev,
        data = data,
        **kwargs
    )
