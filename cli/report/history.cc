// SPDX-License-Identifier: Apache-2.0
// Versions over time: how large the files of each version are, as steps; tags as marks.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>

#include "format_cell.h"
#include "report/html.h"
#include "report/sections.h"

namespace varve::cli {
namespace {

constexpr double kPlotWidth = 1000;
constexpr double kPlotHeight = 160;
constexpr double kStepLeast = 2;     // so that each can be pointed at
constexpr std::size_t kStepsMax = 400;

// A few of many: every n-th, and each that has a tag, and the last.
std::vector<const Version*> Chosen(const std::vector<Version>& versions) {
  std::vector<const Version*> chosen;
  const std::size_t every = versions.size() / kStepsMax + 1;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    if (i % every == 0 || !versions[i].tags.empty() || i + 1 == versions.size()) {
      chosen.push_back(&versions[i]);
    }
  }
  return chosen;
}

std::string VersionTip(const Version& version) {
  std::string tip = fmt::format(
      "commit {} \xC2\xB7 {}\n{} in {}, {}{}", WithThousands(version.commit.value),
      ShortTime(version.time), Counted(version.rows, "version of rows"),
      Counted(version.runs, "run"), FormatBytes(version.bytes),
      version.flushed ? "" : "\nnot yet flushed: it is in the log");
  if (!version.tags.empty()) tip += fmt::format("\ntag {}", fmt::join(version.tags, ", "));
  return EscapeHtml(tip);
}

// Where the steps begin: by time, but none narrower than the least.
std::vector<double> Places(const std::vector<const Version*>& versions) {
  const std::int64_t first = versions.front()->time.micros;
  std::int64_t last = first;
  for (const Version* const version : versions) last = std::max(last, version->time.micros);
  const auto count = static_cast<double>(versions.size());
  const double least = std::min(kStepLeast, kPlotWidth * 0.9 / count);
  const double newest = versions.size() > 1 ? kPlotWidth * 0.04 : 0;  // which lasts until now
  const double span = kPlotWidth - newest - least * count;
  std::vector<double> places;
  double latest = 0;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    const double part =
        last == first ? static_cast<double>(i) / count
                      : static_cast<double>(std::max(versions[i]->time.micros, first) - first) /
                            static_cast<double>(last - first);
    latest = std::max(latest, part);  // a clock may have gone back
    places.push_back(latest * span + static_cast<double>(i) * least);
  }
  return places;
}

std::string Steps(const std::vector<const Version*>& versions) {
  std::uint64_t most = 1;
  for (const Version* const version : versions) most = std::max(most, version->bytes);
  const auto places = Places(versions);
  std::string svg;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    const Version& version = *versions[i];
    const double end = i + 1 < places.size() ? places[i + 1] : kPlotWidth;
    const double width = std::max(end - places[i], 0.5);
    const double height = std::max(
        static_cast<double>(version.bytes) / static_cast<double>(most) * (kPlotHeight - 12), 1.5);
    svg += fmt::format(
        "<g class=\"version{}\"><title>{}</title>"
        "<rect class=\"reach\" x=\"{:.2f}\" y=\"0\" width=\"{:.2f}\" height=\"{:.0f}\"/>"
        "<rect class=\"step\" x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\"/>"
        "<rect class=\"top\" x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"2\"/>",
        version.flushed ? "" : " in-log", VersionTip(version), places[i], width, kPlotHeight,
        places[i],
        kPlotHeight - height, width, height, places[i], kPlotHeight - std::max(height, 2.0),
        width);
    if (!version.tags.empty()) {
      svg += fmt::format("<line class=\"tag\" x1=\"{0:.2f}\" x2=\"{0:.2f}\" y1=\"0\" y2=\"{1}\"/>",
                         places[i] + 0.5, kPlotHeight);
    }
    svg += "</g>\n";
  }
  return svg;
}

std::string VersionsList(const std::vector<Version>& versions) {
  constexpr std::size_t kListed = 200;
  const std::size_t listed = std::min(versions.size(), kListed);
  std::string html = fmt::format(
      "<details><summary>{}{}</summary><div class=\"scroll\"><table><thead><tr><th>commit</th>"
      "<th class=\"left\">time</th><th>runs</th><th>rows in runs</th><th>bytes</th>"
      "<th class=\"left\">kept in</th><th class=\"left\">tags</th></tr></thead><tbody>\n",
      Counted(versions.size(), "version"),
      listed < versions.size() ? fmt::format(", the newest {}", listed) : "");
  for (std::size_t i = versions.size(); i-- > versions.size() - listed;) {
    const Version& version = versions[i];
    html += fmt::format(
        "<tr><td>{}</td><td class=\"left\">{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td class=\"left\">{}</td><td class=\"left\">{}</td></tr>\n",
        WithThousands(version.commit.value), FormatTime(version.time), version.runs,
        WithThousands(version.rows), FormatBytes(version.bytes),
        version.flushed ? "Parquet" : "the log",
        EscapeHtml(fmt::format("{}", fmt::join(version.tags, ", "))));
  }
  return html + "</tbody></table></div></details>\n";
}

}  // namespace

std::string VersionsSection(const ReportFacts& facts) {
  const auto& versions = facts.versions;
  std::string html = "<section class=\"card\" id=\"versions\"><h2>Versions over time</h2>\n";
  if (versions.empty()) {
    return html + "<p class=\"none\">Nothing was committed yet.</p></section>\n";
  }
  std::uint64_t most = 0, tags = 0;
  for (const Version& version : versions) {
    most = std::max(most, version.bytes);
    tags += version.tags.size();
  }
  html += fmt::format(
      "<p class=\"facts\">{}{}, {} \xC2\xB7 files of {} at most</p>\n"
      "<div class=\"plot\"><svg viewBox=\"0 0 1000 160\" preserveAspectRatio=\"none\" role=\"img\" "
      "aria-label=\"bytes of the files of each version\">\n{}</svg></div>\n"
      "<div class=\"axis\"><span>{}</span><span></span><span>{}</span></div>\n"
      "<p class=\"legend\"><i class=\"step\"></i><span>bytes in Parquet files</span>"
      "<i class=\"in-log\"></i><span>since then: only in the log</span>{}</p>\n",
      facts.versions_left_out ? "the newest " : "", Counted(versions.size(), "version"),
      Counted(tags, "tag"), FormatBytes(most), Steps(Chosen(versions)),
      ShortTime(versions.front().time), ShortTime(versions.back().time),
      tags > 0 ? "<i class=\"tag\"></i><span>tag</span>" : "");
  return html + VersionsList(versions) + "</section>\n";
}

}  // namespace varve::cli
