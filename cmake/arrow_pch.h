// SPDX-License-Identifier: Apache-2.0
// The precompiled header of everything that takes Arrow batches in hand.
#pragma once
#include "plain_pch.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/compute/expression.h>
#include <arrow/io/api.h>
#include <arrow/ipc/api.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>
