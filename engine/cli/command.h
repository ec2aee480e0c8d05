#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace sluice::cli {

class Session;

/// One subcommand: how it is called, and what it does. `run` returns the exit status.
struct Command {
  CLI::App* app = nullptr;
  std::function<int()> run;
};

// Each adds its subcommand to `parent`. The session is borrowed and outlives the command.
Command AddRun(CLI::App& parent, Session& session);
Command AddCheck(CLI::App& parent, Session& session);
Command AddPlan(CLI::App& parent, Session& session);
Command AddList(CLI::App& parent, Session& session);
Command AddInspect(CLI::App& parent, Session& session);
Command AddSchema(CLI::App& parent, Session& session);
Command AddDoctor(CLI::App& parent, Session& session);

}  // namespace sluice::cli
