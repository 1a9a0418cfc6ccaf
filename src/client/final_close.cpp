// SPDX-License-Identifier: MIT
#include "client/final_close.h"

namespace websockets {

bool is_final_close(CloseCode code) {
  switch (code) {
    case CloseCode::kProtocolError:
    case CloseCode::kUnsupportedData:
    case CloseCode::kInvalidPayload:
    case CloseCode::kPolicyViolation:
    case CloseCode::kMessageTooBig:
    case CloseCode::kMandatoryExtension:
      return true;
    default:
      return false;
  }
}

}  // namespace websockets
