// SPDX-License-Identifier: Apache-2.0
//! tonbo's side of the workload of its own harness (its benches/compaction): a table of `id: Utf8`
//! and `v: Int64`, keys drawn from a small space, so that most rows are overwritten.
//!
//!   bench_tonbo DIR
//!
//! Reads commands from standard input, one a line, and answers each with one line of JSON:
//!
//!   load BATCHES ROWS KEYS   makes a table, without syncs, and waits until its compaction rests
//!   scan SECONDS KEYS        reads that table over and over: all columns, every batch consumed
//!   ingest SECONDS ROWS      batches of ROWS rows over 65,536 keys, made beforehand, sync always
//!   compact BATCHES ROWS KEYS SEAL   makes that table anew, one file for every SEAL batches and
//!                            nothing compacted; then opens it again, alone, so that all files are
//!                            compacted, and tells what tonbo's own counters say of that
//!
//! Settings. For scans those of the harness with compaction on (minor compaction after every sealed
//! memtable, leveled compaction with its defaults, a tick of 200 ms): the fastest it reads. For
//! ingest its defaults without leveled compaction, so that nothing runs beside the writer. For
//! compaction one job that takes all files in: the most rows for what a job costs by itself. There
//! is no call that compacts, so the time is that of the job, as tonbo's metrics give it, without
//! the ticks before it.
use std::{
    collections::HashMap,
    io::{BufRead, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use futures::StreamExt;
use tonbo::db::{
    BatchesThreshold, CompactionMetrics, CompactionOptions, CompactionStrategy, DbBuilder,
    LeveledPlannerConfig, WalSyncPolicy,
};

type Failure = Box<dyn std::error::Error>;

const SEED: u64 = 584;
const INGEST_KEYS: u64 = 65_536;
const CALM_LOOKS: u32 = 10; // so often the same files, 200 ms apart: compaction rests
const LOOKS_MAX: u32 = 150;
const TICK: Duration = Duration::from_millis(200);
const FLUSH_LOOK: Duration = Duration::from_millis(5);
const FLUSH_LOOKS_MAX: u32 = 6000;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("v", DataType::Int64, false),
    ]))
}

// As the harness draws them.
fn batch(schema: &SchemaRef, number: u64, rows: u64, keys: u64) -> RecordBatch {
    let of_row = |row: u64| {
        let at = number * rows + row;
        let key = at.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(SEED) % keys;
        let value = at
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(SEED ^ 0x9E37_79B9_7F4A_7C15);
        (format!("k{key:08}"), (value >> 1) as i64)
    };
    let (ids, values): (Vec<_>, Vec<_>) = (0..rows).map(of_row).unzip();
    RecordBatch::try_new(
        schema.clone(),
        vec![Arc::new(StringArray::from(ids)), Arc::new(Int64Array::from(values))],
    )
    .expect("the columns are those of the schema")
}

macro_rules! open {
    ($path:expr, $sync:expr, $configure:expr) => {{
        let builder = DbBuilder::from_schema_key_name(schema(), "id")?
            .on_disk($path)?
            .wal_sync_policy($sync);
        let configure = $configure;
        configure(builder).open().await?
    }};
}

macro_rules! until_calm {
    ($db:expr) => {{
        let (mut last, mut calm) = ((0, 0), 0);
        for _ in 0..LOOKS_MAX {
            tokio::time::sleep(TICK).await;
            let versions = $db.list_versions(1).await?;
            let now = versions.first().map_or((0, 0), |v| (v.sst_count, v.level_count));
            calm = if now == last { calm + 1 } else { 0 };
            last = now;
            if calm >= CALM_LOOKS {
                break;
            }
        }
        last
    }};
}

macro_rules! files_of {
    ($db:expr) => {
        $db.list_versions(1).await?.first().map_or(0, |v| v.sst_count)
    };
}

// A file for every `seal` batches, whatever the machine does meanwhile.
macro_rules! flush_parts {
    ($db:expr, $schema:expr, $batches:expr, $rows:expr, $keys:expr, $seal:expr) => {{
        let mut parts = 0;
        for number in 0..$batches {
            $db.ingest(batch($schema, number, $rows, $keys)).await?;
            if (number + 1) % $seal != 0 {
                continue;
            }
            parts += 1;
            let mut looks = 0;
            while files_of!($db) < parts {
                looks += 1;
                if looks > FLUSH_LOOKS_MAX {
                    return Err(format!("{} files instead of {parts}", files_of!($db)).into());
                }
                tokio::time::sleep(FLUSH_LOOK).await;
            }
        }
        parts
    }};
}

macro_rules! timed {
    ($seconds:expr, $operation:expr) => {{
        let start = Instant::now();
        let mut operations = 0u64;
        while start.elapsed().as_secs_f64() < $seconds {
            $operation;
            operations += 1;
        }
        (operations, start.elapsed().as_secs_f64())
    }};
}

async fn serve(dir: String) -> Result<(), Failure> {
    let schema = schema();
    let mut tables = HashMap::new();
    let ingest_db = open!(format!("{dir}/ingest"), WalSyncPolicy::Always, |b| b);
    let mut batches: Vec<RecordBatch> = Vec::new();
    let mut ingested = 0;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["load", batches, rows, keys] => {
                let keys: u64 = keys.parse()?;
                let db = open!(format!("{dir}/{keys}"), WalSyncPolicy::Disabled, |b: DbBuilder<_>| {
                    b.with_minor_compaction(1, 0).with_compaction_options(
                        CompactionOptions::new().periodic_tick(TICK),
                    )
                });
                for number in 0..batches.parse()? {
                    db.ingest(batch(&schema, number, rows.parse()?, keys)).await?;
                }
                let (files, levels) = until_calm!(db);
                tables.insert(keys, db);
                format!("{{\"files\": {files}, \"levels\": {levels}}}")
            }
            ["compact", batches, rows, keys, seal] => {
                let (batches, rows): (u64, u64) = (batches.parse()?, rows.parse()?);
                let (keys, seal): (u64, u64) = (keys.parse()?, seal.parse()?);
                let path = format!("{dir}/compact-{keys}");
                drop(tables.remove(&keys));
                let _ = std::fs::remove_dir_all(&path);
                let parts = {
                    let db = open!(path.clone(), WalSyncPolicy::Disabled, |b: DbBuilder<_>| {
                        b.with_minor_compaction(1, 0)
                            .with_seal_policy(Arc::new(BatchesThreshold { batches: seal as usize }))
                    });
                    flush_parts!(db, &schema, batches, rows, keys, seal)
                };
                let metrics = Arc::new(CompactionMetrics::new());
                let counted = metrics.clone();
                let db = open!(path, WalSyncPolicy::Disabled, |b: DbBuilder<_>| {
                    let all = LeveledPlannerConfig {
                        l0_trigger: 2,
                        l0_max_inputs: parts,
                        ..Default::default()
                    };
                    b.with_minor_compaction(1, 0).with_compaction_options(
                        CompactionOptions::new()
                            .periodic_tick(TICK)
                            .strategy(CompactionStrategy::Leveled(all))
                            .compaction_metrics(counted),
                    )
                });
                for _ in 0..LOOKS_MAX {
                    let now = metrics.snapshot();
                    if now.job_count + now.job_failures > 0 {
                        break;
                    }
                    tokio::time::sleep(TICK).await;
                }
                let (files, _) = until_calm!(db);
                tables.insert(keys, db);
                let now = metrics.snapshot();
                format!(
                    "{{\"rows_in\": {}, \"rows_out\": {}, \"seconds\": {}, \"jobs\": {}, \
                     \"failures\": {}, \"files_before\": {parts}, \"files_after\": {files}}}",
                    now.rows_in,
                    now.rows_out,
                    now.duration_ms_total as f64 / 1e3,
                    now.job_count,
                    now.job_failures,
                )
            }
            ["scan", seconds, keys] => {
                let db = &tables[&keys.parse()?];
                let mut rows = 0;
                let (operations, took) = timed!(seconds.parse::<f64>()?, {
                    rows = 0;
                    let mut stream = db.scan().stream().await?;
                    while let Some(batch) = stream.next().await {
                        rows += batch?.num_rows();
                    }
                });
                format!("{{\"operations\": {operations}, \"seconds\": {took}, \"rows\": {rows}}}")
            }
            ["ingest", seconds, rows] => {
                let rows: u64 = rows.parse()?;
                if batches.is_empty() {
                    let made = |number| batch(&schema, number, rows, INGEST_KEYS);
                    batches = (0..INGEST_KEYS / rows).map(made).collect();
                }
                let (operations, took) = timed!(seconds.parse::<f64>()?, {
                    ingest_db.ingest(batches[ingested % batches.len()].clone()).await?;
                    ingested += 1;
                });
                format!("{{\"operations\": {operations}, \"seconds\": {took}, \"rows\": {rows}}}")
            }
            _ => return Err(format!("no such command: {line}").into()),
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    let dir = std::env::args().nth(1).ok_or("usage: bench_tonbo DIR")?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(dir))
}
