#include "engine/cli/help.h"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "engine/base/log.h"

namespace sluice::cli {

void AddCommonOptions(CLI::App& app, Session& session) {
  constexpr const char* kGroup = "Common options";
  app.set_help_flag("-h,--help", "Print this help and exit")->group(kGroup);
  app.add_option_function<std::vector<std::string>>(
         "--plugin-path",
         [&session](const std::vector<std::string>& paths) {
           session.plugin_path.insert(session.plugin_path.end(), paths.begin(), paths.end());
         },
         "Folder of plugins, or one plugin, searched before all others; may be repeated, and may "
         "hold several with ':' between")
      ->type_name("PATH")
      ->allow_extra_args(false)
      ->group(kGroup);
  app.add_flag_function(
         "-v,--verbose",
         [](int64_t count) {
           SetLogLevel(std::min(GetLogLevel(), count > 1 ? LogLevel::kDebug : LogLevel::kInfo));
         },
         "Say more on stderr; twice for everything")
      ->group(kGroup);
  app.add_option_function<std::string>(
         "--log-level",
         [](const std::string& name) {
           LogLevel level = LogLevel::kWarning;
           if (ParseLogLevel(name, &level)) SetLogLevel(level);
         },
         "What is said on stderr: debug, info, warning (default), error or off")
      ->type_name("LEVEL")
      ->check(CLI::Validator(
          [](std::string& name) -> std::string {
            LogLevel level;
            return ParseLogLevel(name, &level)
                       ? std::string()
                       : "'" + name + "' is not one of debug, info, warning, error, off";
          },
          ""))
      ->group(kGroup);
}

void AddExamples(CLI::App& app, const std::string& lines) {
  std::string footer = "Examples:\n";
  size_t begin = 0;
  while (begin < lines.size()) {
    const size_t end = std::min(lines.find('\n', begin), lines.size());
    if (end > begin) footer += "  " + lines.substr(begin, end - begin);
    footer += '\n';
    begin = end + 1;
  }
  footer.pop_back();
  app.footer(footer);
}

}  // namespace sluice::cli
