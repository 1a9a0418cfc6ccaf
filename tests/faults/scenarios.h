// SPDX-License-Identifier: MIT
#pragma once

#include "play.h"

namespace websockets::faults {

// messages.cpp
extern const Scenario kMessages;
extern const Scenario kByPoll;
extern const Scenario kByIoUring;
extern const Scenario kOuterLoop;
extern const Scenario kOneDescriptor;
extern const Scenario kTls;
extern const Scenario kPings;
extern const Scenario kDeflate;
extern const Scenario kDeflateTakeover;
// files.cpp, lifetime.cpp
extern const Scenario kFiles;
extern const Scenario kFork;
extern const Scenario kForkEnds;
extern const Scenario kNames;
extern const Scenario kWaits;
// run.cpp
extern const Scenario kRun;
extern const Scenario kRunByPoll;
extern const Scenario kRunInOuterLoop;
extern const Scenario kSignals;
// certificates.cpp
extern const Scenario kCertificates;
extern const Scenario kReload;
extern const Scenario kHandshake;
extern const Scenario kOldHandshake;
// crowd.cpp
extern const Scenario kCrowd;
extern const Scenario kCrowdInBatches;
extern const Scenario kFullAtTheEnd;

}  // namespace websockets::faults
