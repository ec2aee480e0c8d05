#include "engine/config/schema.h"

#include <CLI/CLI.hpp>

#include "engine/cli/command.h"
#include "engine/cli/help.h"
#include "engine/cli/session.h"
#include "engine/cli/std_streams.h"

namespace sluice::cli {

Command AddSchema(CLI::App& parent, Session& session) {
  CLI::App* app = parent.add_subcommand(
      "schema", "Print a JSON Schema of graphs, made from the installed plugins, for editors");
  AddExamples(*app,
              "sluice schema > sluice.schema.json\n"
              "\n"
              "With yaml-language-server, the first line of a graph is then\n"
              "  # yaml-language-server: $schema=sluice.schema.json");
  return {app, [&session] {
            std::string text = config::GraphSchema(session.registry());
            if (!text.ends_with('\n')) text += '\n';
            return Deliver(text);
          }};
}

}  // namespace sluice::cli
