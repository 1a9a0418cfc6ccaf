// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "made_certificate.h"
#include "temporary_folder.h"

namespace websockets {

// A certificate that signs itself, and its key, in one file while this lives.
class CertificateFile {
 public:
  CertificateFile() { MadeCertificate({}).write(path_); }
  CertificateFile(const CertificateFile&) = delete;
  CertificateFile& operator=(const CertificateFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  TemporaryFolder folder_;
  std::string path_ = folder_.path() + "/certificate.pem";
};

}  // namespace websockets
