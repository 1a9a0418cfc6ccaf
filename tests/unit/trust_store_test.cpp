// SPDX-License-Identifier: MIT
#include "net/trust_store.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <string>

#include "made_certificate.h"
#include "net/ssl_session.h"
#include "temporary_folder.h"

namespace websockets {
namespace {

// A folder with an authority in a file, and in a folder under its hashed name.
class TrustStoreTest : public testing::Test {
 protected:
  TrustStoreTest() {
    authority_.write(file_, false);
    std::array<char, 16> name{};
    std::snprintf(name.data(), name.size(), "/%08lx.0",
                  X509_NAME_hash_ex(X509_get_subject_name(authority_.get()), nullptr, nullptr, nullptr));
    ::mkdir(hashed_.c_str(), 0700);
    authority_.write(hashed_ + name.data(), false);
    ::mkdir(empty_.c_str(), 0700);
  }

  bool trusts(const X509_STORE* store) const {
    X509_STORE_CTX* const verification = X509_STORE_CTX_new();
    X509_STORE_CTX_init(verification, const_cast<X509_STORE*>(store), leaf_.get(), nullptr);
    const bool is_good = X509_verify_cert(verification) == 1;
    X509_STORE_CTX_free(verification);
    return is_good;
  }
  bool is_trusted() const { return trusts(SSL_CTX_get_cert_store(context_.get())); }
  // Of a new context.
  std::string trust(const SystemTrust& places) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    return trust_system(*context_, places).text;
  }
  std::string nowhere() const { return folder_.path() + "/nowhere"; }

  TemporaryFolder folder_;
  std::string file_ = folder_.path() + "/file.pem";
  std::string hashed_ = folder_.path() + "/hashed";
  std::string empty_ = folder_.path() + "/empty";
  MadeCertificate authority_{{.name = "root", .alternatives = "", .is_authority = true}};
  MadeCertificate leaf_{{"leaf", ""}, &authority_};
  SslContext context_{SSL_CTX_new(TLS_client_method())};
};

TEST_F(TrustStoreTest, TrustsAFile) {
  EXPECT_FALSE(is_trusted());
  EXPECT_EQ(trust_file(*context_, file_).text, "");
  EXPECT_TRUE(is_trusted());
}

TEST_F(TrustStoreTest, NamesAFileThatIsNoneOrHasNone) {
  EXPECT_EQ(trust_file(*context_, nowhere()).text, "CA '" + nowhere() + "': No such file or directory");
  const std::string blank = folder_.path() + "/blank.pem";
  std::fclose(std::fopen(blank.c_str(), "w"));
  EXPECT_EQ(trust_file(*context_, blank).text, "CA '" + blank + "': no certificate or crl found");
}

TEST_F(TrustStoreTest, TrustsAnIntermediateAuthorityAlone) {
  const MadeCertificate intermediate({.name = "intermediate", .alternatives = "", .is_authority = true}, &authority_);
  const MadeCertificate leaf({"leaf", ""}, &intermediate);
  const std::string path = folder_.path() + "/intermediate.pem";
  intermediate.write(path, false);
  EXPECT_EQ(trust_file(*context_, path).text, "");
  X509_STORE_CTX* const verification = X509_STORE_CTX_new();
  X509_STORE_CTX_init(verification, SSL_CTX_get_cert_store(context_.get()), leaf.get(), nullptr);
  EXPECT_EQ(X509_verify_cert(verification), 1);
  X509_STORE_CTX_free(verification);
}

TEST_F(TrustStoreTest, TrustsAFolder) {
  EXPECT_EQ(trust_folder(*context_, hashed_).text, "");
  EXPECT_TRUE(is_trusted());
}

TEST_F(TrustStoreTest, SaysThatAFolderHasNoHashedNames) {
  for (const std::string& folder : {empty_, nowhere()}) {
    EXPECT_EQ(trust_folder(*context_, folder).text,
              "CA '" + folder + "': the folder has no names that 'openssl rehash' gives");
  }
}

TEST_F(TrustStoreTest, TakesWhatVariablesName) {
  SystemTrust places;
  places.named_file = file_;
  EXPECT_EQ(trust(places), "");
  EXPECT_TRUE(is_trusted());
  places = {};
  places.named_folder = nowhere() + ":" + hashed_;
  EXPECT_EQ(trust(places), "");
  EXPECT_TRUE(is_trusted());
}

TEST_F(TrustStoreTest, TakesOpenssls) {
  SystemTrust places;
  places.file = file_;
  places.folder = empty_;
  EXPECT_EQ(trust(places), "");
  EXPECT_TRUE(is_trusted());
  places.file = nowhere();
  places.folder = hashed_;
  EXPECT_EQ(trust(places), "");
  EXPECT_TRUE(is_trusted());
}

TEST_F(TrustStoreTest, AFileThatWasNamedHasToBeThere) {
  SystemTrust places;
  places.named_file = nowhere();
  places.file = file_;
  places.folder = hashed_;
  places.usual_files = {file_};
  EXPECT_EQ(trust(places),
            "no store of certificate authorities was found: looked for SSL_CERT_FILE '" + nowhere() + "'");
  EXPECT_FALSE(is_trusted());
}

TEST_F(TrustStoreTest, AFolderThatWasNamedIsTrustedWhereTheFileIsMissing) {
  SystemTrust places;
  places.named_file = nowhere();
  places.named_folder = hashed_;
  EXPECT_EQ(trust(places), "");
  EXPECT_TRUE(is_trusted());
  places.named_folder = empty_;
  EXPECT_EQ(trust(places), "no store of certificate authorities was found: looked for SSL_CERT_FILE '" + nowhere() +
                               "', SSL_CERT_DIR '" + empty_ + "'");
}

TEST_F(TrustStoreTest, TakesTheFirstUsualOneWhenThereIsNoneOfOpenssl) {
  SystemTrust places;
  places.file = nowhere();
  places.folder = empty_;
  places.usual_files = {nowhere(), file_, empty_};
  EXPECT_EQ(trust(places), "");
  EXPECT_TRUE(is_trusted());
  places.named_folder = empty_;
  EXPECT_EQ(trust(places), "no store of certificate authorities was found: looked for '" + nowhere() +
                               "', SSL_CERT_DIR '" + empty_ + "'");
}

TEST_F(TrustStoreTest, SaysWhereItLooked) {
  SystemTrust places;
  places.file = "/1";
  places.folder = "/2";
  places.usual_files = {"/3", "/4"};
  EXPECT_EQ(trust(places), "no store of certificate authorities was found: looked for '/1', '/2', '/3', '/4'");
}

TEST_F(TrustStoreTest, KnowsWhereSystemsKeepThem) {
  const SystemTrust places = system_trust();
  EXPECT_EQ(places.file, X509_get_default_cert_file());
  EXPECT_EQ(places.folder, X509_get_default_cert_dir());
  EXPECT_EQ(places.usual_files.front(), "/etc/ssl/certs/ca-certificates.crt");
}

}  // namespace
}  // namespace websockets
