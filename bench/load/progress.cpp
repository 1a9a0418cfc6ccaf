// SPDX-License-Identifier: MIT
#include "progress.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "support.h"

Progress::Progress(std::string what, std::size_t timeout_s, std::size_t limit_s)
    : what_(std::move(what)),
      timeout_ns_(static_cast<std::int64_t>(timeout_s) * kSecondNs),
      is_terminal_(::isatty(STDERR_FILENO) != 0),
      end_ns_(limit_s == 0 ? INT64_MAX : now_ns() + static_cast<std::int64_t>(limit_s) * kSecondNs),
      told_ns_(now_ns()),
      moved_ns_(told_ns_) {}

Progress::~Progress() {
  if (is_terminal_ && has_printed_) std::fputs("\r\033[K", stderr);
}

void Progress::tell(std::size_t done, std::size_t all) {
  const std::int64_t now = now_ns();
  if (done != done_) moved_ns_ = now;
  done_ = done;
  if (now - moved_ns_ > timeout_ns_) die("nothing happens; " + std::to_string(done) + " of " + std::to_string(all));
  if (now - told_ns_ < kSecondNs) return;
  const double per_second = static_cast<double>(done - told_) / to_seconds(now - told_ns_);
  std::fprintf(stderr, "%s%s: %zu of %zu, %.0f/s%s", is_terminal_ ? "\r" : "", what_.c_str(), done, all, per_second,
               is_terminal_ ? "\033[K" : "\n");
  std::fflush(stderr);
  has_printed_ = true;
  told_ns_ = now;
  told_ = done;
}
