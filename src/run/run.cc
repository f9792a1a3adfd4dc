// SPDX-License-Identifier: Apache-2.0
#include "run/run.h"

#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "run/column_map.h"
#include "run/open_run.h"
#include "run/run_source.h"

namespace varve {

Run::~Run() = default;

std::shared_ptr<const Run> Run::Make(ObjectStore* store, std::shared_ptr<const TableSchema> schema,
                                     std::shared_ptr<const RunMeta> meta, const RunCaches& caches) {
  const auto source = std::make_shared<Source>();
  source->store = store;
  source->schema = schema;
  source->tails = caches.tails;
  if (!meta->data.name.empty()) {
    source->data_life = std::make_shared<FileLife>(caches.pieces, caches.memory);
  }
  if (!meta->deletes.name.empty()) {
    source->deletes_life = std::make_shared<FileLife>(caches.pieces, caches.memory);
  }
  std::shared_ptr<Run> run(new Run());
  run->schema_ = std::move(schema);
  run->meta_ = std::move(meta);
  run->source_ = source;
  return run;
}

std::shared_ptr<const Run> Run::Under(const std::shared_ptr<const Run>& run,
                                      const std::shared_ptr<const TableSchema>& schema) {
  if (run->schema_ == schema) return run;
  std::shared_ptr<Run> shown(new Run());
  shown->schema_ = schema;
  shown->meta_ = run->meta_;
  shown->source_ = run->source_;
  if (run->source_->schema != schema) {
    shown->map_ = std::make_shared<const ColumnMap>(*run->source_->schema, schema);
  }
  return shown;
}

std::shared_ptr<const Run> Run::With(const std::shared_ptr<const Run>& run,
                                     std::shared_ptr<const RunMeta> meta) {
  VARVE_CHECK(meta->id == run->meta_->id);
  std::shared_ptr<Run> changed(new Run());
  changed->schema_ = run->schema_;
  changed->meta_ = std::move(meta);
  changed->source_ = run->source_;
  changed->map_ = run->map_;
  return changed;
}

std::shared_ptr<const Run> Run::Through(const std::shared_ptr<const Run>& run,
                                        ObjectStore* store) {
  const auto read = Make(store, run->source_->schema, run->meta_);
  return Under(read, run->schema_);
}

std::weak_ptr<const void> Run::Lifetime() const { return source_; }

Result<OpenRun> Run::Open() const {
  const auto& cache = source_->tails;
  TailsPtr tails = cache == nullptr ? nullptr : cache->Find(&source_->slot);
  if (tails == nullptr) {
    VARVE_ASSIGN(tails, ReadTails());
    if (cache != nullptr) tails = cache->Insert(&source_->slot, std::move(tails));
  }
  return OpenRun(shared_from_this(), std::move(tails));
}

Result<TailsPtr> Run::ReadTails() const {
  const Source& source = *source_;
  const auto tails = std::make_shared<Tails>();
  if (source.data_life != nullptr) {
    VARVE_ASSIGN(tails->data, RunFile::Open(source.store, meta_->data, source.schema,
                                            source.schema->schema(), source.data_life));
  }
  if (source.deletes_life != nullptr) {
    VARVE_ASSIGN(tails->deletes, RunFile::Open(source.store, meta_->deletes, source.schema,
                                               source.schema->key_schema(), source.deletes_life));
  }
  return tails;
}

std::uint64_t Run::row_groups_read() const {
  std::uint64_t count = 0;
  for (const auto& life : {source_->data_life, source_->deletes_life}) {
    if (life != nullptr) count += life->row_groups_read();
  }
  return count;
}

std::uint64_t Run::bloom_rejections() const {
  return source_->bloom_rejections.load(std::memory_order_relaxed);
}

}  // namespace varve
