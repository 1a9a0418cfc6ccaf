// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"

namespace websockets {

// What may block, so that a thread has to do it. Whoever does not wait for it any more leaves it alone: it runs to its
// end, holding what it owns.
class BackgroundTask {
 public:
  virtual ~BackgroundTask() = default;  // in any thread
  // In a thread in which all signals are blocked.
  virtual void run() noexcept = 0;
  // Whether exit() waits until it has ended: it uses what exit() takes down, as OpenSSL, which has been initialised by
  // now. It does not wait for longer than a few seconds.
  virtual bool delays_exit() const { return false; }
  // See BackgroundTasks, which calls it in the thread of its loop. `has_run` false: it was lost by a fork while a
  // thread may have been within run(), so that nothing but what was there before may be looked at.
  virtual void on_done(bool /*has_run*/) {}
};

// Runs it in one of up to 8 threads of this process; when all are busy, as soon as one is not. A forked process begins
// with none. Never blocks. Error (EAGAIN): no thread can be had. Throws std::bad_alloc.
Error run_in_background(std::shared_ptr<BackgroundTask> task);
// It is not run if that has not begun. Returns whether that is so.
bool withdraw(const BackgroundTask& task);
// Waits until none is left, neither running nor waiting, but at most so long. False: there are some still.
bool wait_for_background_tasks(std::uint64_t timeout_ms);

}  // namespace websockets
