// SPDX-License-Identifier: Apache-2.0
// How a table lies: each run a bar from its first to its last key, level by level. Keys are spaced
// by their order, not their distance: of what type they are does not matter then, and every run has
// a width. Bars of one level that overlap lie in lanes above each other.
#include <arrow/type.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "format_cell.h"
#include "report/html.h"
#include "report/sections.h"

namespace varve::cli {
namespace {

constexpr double kLevelWidth = 1000;
constexpr double kLaneMost = 20;
constexpr double kLaneLeast = 4;
constexpr double kLevelMost = 260;  // height of a level, while lanes are no lower than the least
constexpr int kShades = 5;          // of the age of a run
constexpr std::size_t kKeyCharacters = 48;

std::string ShortKey(const std::string& key) {
  return EscapeHtml(key.empty() ? "\xE2\x80\x9C\xE2\x80\x9D" : Shortened(key, kKeyCharacters));
}

struct Level {
  std::uint32_t level = 0;
  std::vector<const RunFacts*> runs;
  std::size_t lanes = 1;
  std::uint64_t bytes = 0;
};

std::vector<Level> LevelsOf(const TableFacts& table) {
  std::vector<Level> levels;
  for (const RunFacts& run : table.runs) {
    if (levels.empty() || levels.back().level != run.info.level) {
      levels.push_back({.level = run.info.level, .runs = {}});
    }
    Level& level = levels.back();
    level.runs.push_back(&run);
    level.lanes = std::max(level.lanes, run.lane + 1);
    level.bytes += run.info.bytes;
  }
  return levels;
}

// From 0, the oldest fifth of the commits that the table's files hold, to 4.
class Ages {
 public:
  explicit Ages(const TableFacts& table) {
    if (table.runs.empty()) return;
    first_ = table.runs.front().info.last_commit.value;
    for (const RunFacts& run : table.runs) {
      first_ = std::min(first_, run.info.last_commit.value);
      last_ = std::max(last_, run.info.last_commit.value);
    }
  }
  int Of(const RunFacts& run) const {
    if (last_ == first_) return kShades - 1;
    const auto age = static_cast<double>(run.info.last_commit.value - first_);
    return static_cast<int>(age / static_cast<double>(last_ - first_) * (kShades - 0.01));
  }

 private:
  std::uint64_t first_ = 0;
  std::uint64_t last_ = 0;
};

std::string RunTip(const RunFacts& run) {
  const RunInfo& info = run.info;
  std::string tip = fmt::format("run {} \xC2\xB7 level {}\n{}, {}", info.id, info.level,
                                Counted(info.rows, "row"), FormatBytes(info.bytes));
  if (info.deletes > 0) tip += ", " + Counted(info.deletes, "delete");
  tip += fmt::format("\nkeys {} to {}\ncommits {} to {}", Shortened(run.first_key, kKeyCharacters),
                     Shortened(run.last_key, kKeyCharacters),
                     WithThousands(info.first_commit.value),
                     WithThousands(info.last_commit.value));
  if (info.hidden) tip += "\nhidden: other runs have newer versions of all its keys";
  return EscapeHtml(tip);
}

std::string Bar(const TableFacts& table, const RunFacts& run, const Ages& ages, double lane) {
  const double slot = kLevelWidth / static_cast<double>(table.places);
  const double gap = std::min(slot * 0.15, 1.5);
  const double x = static_cast<double>(run.first_place) * slot + gap / 2;
  const double width =
      static_cast<double>(run.last_place - run.first_place + 1) * slot - gap;
  const double y = static_cast<double>(run.lane) * lane;
  const double height = lane - std::min(lane * 0.2, 2.0);
  std::string bar = fmt::format(
      "<g class=\"run a{}{}\" data-run=\"{}\"><title>{}</title>"
      "<rect class=\"bar\" x=\"{:.3f}\" y=\"{:.2f}\" width=\"{:.3f}\" "
      "height=\"{:.2f}\"/>",
      ages.Of(run), run.info.hidden ? " hidden" : "", run.info.id, RunTip(run), x, y, width,
      height);
  if (run.info.deletes > 0) {
    const double part = static_cast<double>(run.info.deletes) /
                        static_cast<double>(run.info.deletes + run.info.rows);
    bar += fmt::format(
        "<rect class=\"deletes\" x=\"{:.3f}\" y=\"{:.2f}\" width=\"{:.3f}\" height=\"{:.2f}\"/>",
        x, y + height * 0.75, std::max(width * part, std::min(width, 1.0)), height * 0.25);
  }
  return bar + "</g>\n";
}

std::string DrawLevel(const TableFacts& table, const Level& level, const Ages& ages) {
  const auto lanes = static_cast<double>(level.lanes);
  const double lane = std::clamp(kLevelMost / lanes, kLaneLeast, kLaneMost);
  std::string html = fmt::format(
      "<div class=\"level\"><div class=\"level-name\"><b>L{}</b><span>{}</span><span>{}</span>"
      "</div>\n<svg class=\"lanes\" viewBox=\"0 0 1000 {:.1f}\" style=\"height:{:.0f}px\" "
      "preserveAspectRatio=\"none\" role=\"img\" aria-label=\"runs of level {} by key\">\n",
      level.level, Counted(level.runs.size(), "run"), FormatBytes(level.bytes), lane * lanes,
      lane * lanes, level.level);
  for (const RunFacts* const run : level.runs) html += Bar(table, *run, ages, lane);
  return html + "</svg></div>\n";
}

// The first, middle and last of the keys that bars begin or end with.
std::string Axis(const TableFacts& table) {
  const std::string* marks[3] = {nullptr, nullptr, nullptr};
  const std::size_t places[3] = {0, table.places / 2, table.places - 1};
  for (const RunFacts& run : table.runs) {
    for (std::size_t i = 0; i < 3; ++i) {
      if (run.first_place == places[i]) marks[i] = &run.first_key;
      if (run.last_place == places[i]) marks[i] = &run.last_key;
    }
  }
  std::string html = "<div class=\"axis\">";
  for (std::size_t i = 0; i < 3; ++i) {
    const bool middle = i == 1 && table.places < 5;
    html += "<span>" + (marks[i] == nullptr || middle ? "" : ShortKey(*marks[i])) + "</span>";
  }
  return html + "</div>\n";
}

std::string Legend(const TableFacts& table) {
  std::string html = "<p class=\"legend\"><span>older commits</span>";
  for (int shade = 0; shade < kShades; ++shade) html += fmt::format("<i class=\"a{}\"></i>", shade);
  html += "<span>newer</span>";
  if (std::ranges::any_of(table.runs, [](const auto& run) { return run.info.deletes > 0; })) {
    html += "<i class=\"deletes\"></i><span>share of deletes</span>";
  }
  if (std::ranges::any_of(table.runs, [](const auto& run) { return run.info.hidden; })) {
    html += "<i class=\"hidden\"></i><span>hidden by newer runs</span>";
  }
  return html + "<span class=\"right\">across: keys in their order</span></p>\n";
}

std::string RunsList(const TableFacts& table) {
  std::string html = fmt::format(
      "<details><summary>{}</summary><div class=\"scroll\"><table><thead><tr><th>run</th>"
      "<th>level</th><th class=\"left\">first key</th><th class=\"left\">last key</th>"
      "<th>rows</th><th>deletes</th><th>bytes</th><th>commits</th><th class=\"left\">file</th>"
      "</tr></thead><tbody>\n",
      Counted(table.runs.size(), "run"));
  for (const RunFacts& run : table.runs) {
    const RunInfo& info = run.info;
    html += fmt::format(
        "<tr{}><td>{}</td><td>{}</td><td class=\"left\">{}</td><td class=\"left\">{}</td>"
        "<td>{}</td><td>{}</td><td>{}</td><td>{}\xE2\x80\x93{}</td><td class=\"left\"><code>{}"
        "</code></td></tr>\n",
        info.hidden ? " class=\"is-hidden\"" : "", info.id, info.level, ShortKey(run.first_key),
        ShortKey(run.last_key), WithThousands(info.rows), WithThousands(info.deletes),
        FormatBytes(info.bytes), WithThousands(info.first_commit.value),
        WithThousands(info.last_commit.value),
        EscapeHtml(info.name.empty() ? info.deletes_name : info.name));
  }
  return html + "</tbody></table></div></details>\n";
}

std::string ColumnsList(const TableFacts& table) {
  const auto& fields = table.schema->fields();
  std::string html = fmt::format(
      "<details><summary>{}</summary><div class=\"scroll\"><table><thead><tr>"
      "<th class=\"left\">column</th><th class=\"left\">type</th><th class=\"left\"></th></tr>"
      "</thead><tbody>\n",
      Counted(fields.size(), "column"));
  for (const auto& field : fields) {
    const auto at = std::ranges::find(table.key, field->name());
    std::string notes;
    if (at != table.key.end()) notes = fmt::format("key {}", at - table.key.begin() + 1);
    if (!field->nullable()) notes += notes.empty() ? "not null" : ", not null";
    html += fmt::format(
        "<tr><td class=\"left\">{}</td><td class=\"left\"><code>{}</code></td>"
        "<td class=\"left\">{}</td></tr>\n",
        EscapeHtml(field->name()), EscapeHtml(field->type()->ToString()), notes);
  }
  return html + "</tbody></table></div></details>\n";
}

// How many runs hold the range of one key, at most: a lookup may have to ask all of them.
std::size_t Depth(const TableFacts& table) {
  std::vector<std::ptrdiff_t> change(table.places + 1, 0);
  for (const RunFacts& run : table.runs) {
    if (run.info.hidden) continue;
    ++change[run.first_place];
    --change[run.last_place + 1];
  }
  std::ptrdiff_t depth = 0, most = 0;
  for (const std::ptrdiff_t at : change) most = std::max(most, depth += at);
  return static_cast<std::size_t>(most);
}

std::string FactsLine(const TableFacts& table) {
  std::vector<std::string> facts;
  if (table.stats) facts.push_back("at most " + Counted(table.stats->rows_estimate, "row"));
  facts.push_back(fmt::format("{} in {}", FormatBytes(table.bytes()),
                              Counted(table.runs.size(), "run")));
  if (table.runs.size() > 1) {
    facts.push_back(fmt::format("up to {} over one key", Counted(Depth(table), "run")));
  }
  if (table.stats && table.stats->memtable_rows > 0) {
    facts.push_back(fmt::format("{} in memory, {}", Counted(table.stats->memtable_rows, "row"),
                                FormatBytes(table.stats->memtable_bytes)));
  }
  return fmt::format("{}", fmt::join(facts, " \xC2\xB7 "));
}

}  // namespace

std::string TableSection(const TableFacts& table, std::size_t number) {
  std::string html = fmt::format(
      "<section class=\"card\" id=\"table-{}\"><h2>{} <small>key {}</small></h2>\n"
      "<p class=\"facts\">{}</p>\n",
      number, EscapeHtml(table.name), EscapeHtml(fmt::format("{}", fmt::join(table.key, ", "))),
      FactsLine(table));
  if (table.runs.empty()) {
    html += "<p class=\"none\">No files yet: what was written is in memory and in the log until it "
            "is flushed.</p>\n";
  } else {
    const Ages ages(table);
    html += "<div class=\"levels\">\n";
    for (const Level& level : LevelsOf(table)) html += DrawLevel(table, level, ages);
    html += Axis(table) + "</div>\n" + Legend(table) + RunsList(table);
  }
  return html + ColumnsList(table) + "</section>\n";
}

}  // namespace varve::cli
