// SPDX-License-Identifier: Apache-2.0
#include "report/page.h"

#include <fmt/format.h>

#include <filesystem>

#include "format_cell.h"
#include "report/assets.h"
#include "report/html.h"
#include "report/sections.h"

namespace varve::cli {
namespace {

// Heights of drawings stand in style attributes, which need 'unsafe-inline'; attributes cannot load
// anything, for there is no source that they could load from.
std::string Policy() {
  return "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '" +
         PolicyHash(kReportScript) + "'; base-uri 'none'; form-action 'none'";
}

std::string Contents(const ReportFacts& facts) {
  std::string html = "<nav>";
  for (std::size_t i = 0; i < facts.tables.size(); ++i) {
    html += fmt::format("<a href=\"#table-{}\">{}</a>", i,
                        EscapeHtml(Shortened(facts.tables[i].name, 32)));
  }
  return html + "<a href=\"#versions\">versions</a><a href=\"#log\">log</a>"
                "<a href=\"#memory\">memory</a></nav>\n";
}

std::string Heading(const ReportFacts& facts) {
  const std::string as_of =
      facts.asked_as_of.empty()
          ? fmt::format("as of commit {}, the newest", WithThousands(facts.as_of.value))
          : fmt::format("as of {}, commit {}", EscapeHtml(facts.asked_as_of),
                        WithThousands(facts.as_of.value));
  const std::string name = std::filesystem::path(facts.path + "/").parent_path().filename();
  return fmt::format(
      "<header><div><p class=\"mark\">varve</p><h1>{}</h1><p class=\"sub\">{} \xC2\xB7 made {}"
      "</p><p class=\"sub\"><code>{}</code></p></div>"
      "<button id=\"theme\" hidden type=\"button\">Dark</button></header>\n",
      EscapeHtml(name), as_of, ShortTime(facts.made), EscapeHtml(facts.path));
}

}  // namespace

std::string ReportPage(const ReportFacts& facts) {
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>{} \xC2\xB7 varve report</title>\n"
      "<style>{}</style>\n</head>\n<body>\n<main>\n",
      Policy(), EscapeHtml(facts.path), kReportStyle);
  html += Heading(facts) + Contents(facts) + TilesSection(facts);
  if (facts.tables.empty()) {
    html += "<section class=\"card\"><h2>No tables</h2><p class=\"none\">Nothing is drawn until "
            "there is one: <code>varve create</code> or <code>varve load --create</code> makes "
            "it.</p></section>\n";
  }
  for (std::size_t i = 0; i < facts.tables.size(); ++i) html += TableSection(facts.tables[i], i);
  html += VersionsSection(facts) + LogSection(facts) + MemorySection(facts);
  html += "<footer>Made by varve report. The figures stand in this page as JSON too, in the "
          "element <code>#varve-report</code>.</footer>\n</main>\n<div id=\"tip\" hidden></div>\n";
  html += "<script type=\"application/json\" id=\"varve-report\">" +
          JsonForScript(Document(facts)) + "</script>\n";
  html += "<script>" + std::string(kReportScript) + "</script>\n</body>\n</html>\n";
  return html;
}

}  // namespace varve::cli
