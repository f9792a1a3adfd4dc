// SPDX-License-Identifier: Apache-2.0
#include "engine/metrics_file.h"

#include "base/out_of_memory.h"
#include "base/result.h"
#include "engine/engine.h"
#include "engine/link.h"

namespace varve {

Status MetricsFile::Replace(Files* files, std::string_view text) {
  const std::lock_guard lock(mutex_);
  const std::string making = JoinPath(folder_, kMetricsFileInMaking);
  // One that a crash left.
  if (const Status removed = files->Remove(making);
      !removed && removed.error().kind() != ErrorKind::kNotFound) {
    return removed;
  }
  {
    VARVE_ASSIGN(const auto file, files->Open(making, OpenMode::kCreate));
    VARVE_TRY(file->WriteAt(0, text));
  }
  return files->Rename(making, JoinPath(folder_, kMetricsFile));
}

Status MetricsFile::Remove(Files* files) const {
  for (const std::string_view name : {kMetricsFile, kMetricsFileInMaking}) {
    const Status removed = files->Remove(JoinPath(folder_, name));
    if (!removed && removed.error().kind() != ErrorKind::kNotFound) return removed;
  }
  return {};
}

// Without memory for the timer whoever comes next tries again.
void Database::Impl::PublishSoon() noexcept {
  if (!metrics_file_.TakeTurn()) [[likely]] {
    return;
  }
  const bool armed = !options_.read_only && HadMemory([this] {
    environment_.executor()->SubmitAfter(metrics_file_.interval_micros(), [link = link_] {
      Impl* database = nullptr;
      {
        const std::lock_guard lock(link->mutex);
        database = link->database;
        if (database != nullptr) database->BeginTask();  // it waits for us from here on
      }
      if (database == nullptr) return;
      database->Publish(/*open=*/true);
      database->EndTask();
    });
  });
  if (!armed) metrics_file_.EndTurn();
}

void Database::Impl::Publish(bool open) {
  if (!metrics_file_.on() || options_.read_only) return;
  metrics_file_.EndTurn();  // first: what happens from here on asks for another one
  (void)HadMemory([&] {
    const std::string text =
        PrometheusText("varve_", /*names=*/environment_.keys() == nullptr) +
        "# HELP varve_open 1 while the process that wrote this has the database open.\n"
        "# TYPE varve_open gauge\nvarve_open " + (open ? "1\n" : "0\n");
    const Status replaced = metrics_file_.Replace(environment_.files(), text);
    if (replaced) return;
    Trace(environment_.trace(), "metrics.not_published", replaced.error().message());
  });
}

}  // namespace varve
