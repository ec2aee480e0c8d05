"""Plugins with one flaw each, for the loader's tests."""

load("//bazel:plugin.bzl", "sluice_plugin")

_NUMBERS = ["one", "two", "three"]

def fixture_manifest(name, plugin, types, domains):
    """Writes NAME: the manifest of `plugin` with these ids."""
    text = ["sluice_manifest: 1", "plugin: { name: %s, version: 1.0.0 }" % plugin]
    text += ["nodes:"] if types else []
    for type in types:
        text += [
            "  %s:" % type,
            "    doc: A fixture.",
            "    ports: { in: { direction: input, offers: [ { formats: any } ] } }",
        ]
    text += ["domains: { %s: { doc: A fixture. } }" % domain for domain in domains]
    native.genrule(
        name = name + "_text",
        testonly = True,
        outs = [name],
        cmd = "printf '%s\\n' " + " ".join(["'%s'" % line for line in text]) + " > $@",
    )

def fixture(name, nodes = 1, domains = 0, declared = None, declared_domains = None, manifest = None, copts = [], src = "fixtures/fixture.c"):
    """Builds the plugin NAME.so.

    Args:
      name: of the plugin.
      nodes: node types that the code makes.
      domains: domains that the code makes, up to one.
      declared: node types that the manifest declares; those that are made if not given.
      declared_domains: domains that it declares, as `declared`.
      manifest: a manifest of its own.
      copts: what else is wrong with it.
      src: its source.
    """
    if manifest == None:
        manifest = name + ".sluice.yaml"
        fixture_manifest(
            name = manifest,
            plugin = name,
            types = declared if declared != None else [name + "." + number for number in _NUMBERS[:nodes]],
            domains = declared_domains if declared_domains != None else [name] * domains,
        )
    sluice_plugin(
        name = name,
        testonly = True,
        srcs = [src],
        copts = [
            "-DFIXTURE_NAME=" + name,
            "-DFIXTURE_NODES=%d" % nodes,
            "-DFIXTURE_DOMAINS=%d" % domains,
        ] + copts,
        manifest = manifest,
        deps = ["//plugins/abi"],
    )
