"""install_tar: an install tree (bin/, lib/, include/, ...) as a reproducible tar, with coreutils and tar only."""

def _destination(file, folder, strip_prefixes):
    for prefix in strip_prefixes:
        if file.short_path.startswith(prefix + "/"):
            return folder + "/" + file.short_path[len(prefix) + 1:]
    return folder + "/" + file.basename

def _impl(ctx):
    tar = ctx.actions.declare_file(ctx.label.name + ".tar.gz")
    inputs = []
    script = ["set -euo pipefail", "root=$(mktemp -d)", "trap 'rm -rf \"$root\"' EXIT", "chmod 755 \"$root\""]
    for target, folder in ctx.attr.files.items():
        for file in target[DefaultInfo].files.to_list():
            inputs.append(file)
            mode = "0755" if folder == "bin" or file.extension == "so" else "0644"
            path = _destination(file, folder, ctx.attr.strip_prefixes)
            script.append("install -D -m %s '%s' \"$root/%s\"" % (mode, file.path, path))

    # The same inputs give the same bytes: sorted names, no times, no owners.
    script.append("tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C \"$root\" -cf - . | gzip -n > '%s'" % tar.path)
    ctx.actions.run_shell(outputs = [tar], inputs = inputs, command = "\n".join(script), mnemonic = "InstallTar")
    return [DefaultInfo(files = depset([tar]), runfiles = ctx.runfiles(files = [tar]))]

install_tar = rule(
    implementation = _impl,
    attrs = {
        "files": attr.label_keyed_string_dict(allow_files = True, doc = "Which target's files go into which folder."),
        "strip_prefixes": attr.string_list(doc = "Files below one of these packages keep the rest of their path; others only their name."),
    },
)
