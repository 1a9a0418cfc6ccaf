// SPDX-License-Identifier: MIT
#include "net/stream.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "socket_pairs.h"

namespace websockets {
namespace {

void expect(const IoResult& result, IoStatus status, std::size_t bytes) {
  EXPECT_EQ(result.status, status);
  EXPECT_EQ(result.bytes, bytes);
}

iovec part(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

// A text in which every place can be told from the others.
std::string numbered_text(std::size_t size) {
  std::string text;
  text.reserve(size + 8);
  for (std::size_t number = 0; text.size() < size; ++number) text.append(std::to_string(number)).append(" ");
  text.resize(size);
  return text;
}

class TestFile {
 public:
  explicit TestFile(std::string_view text) {
    EXPECT_EQ(std::fwrite(text.data(), 1, text.size(), file_.get()), text.size());
    EXPECT_EQ(std::fflush(file_.get()), 0);
  }
  int fd() const { return ::fileno(file_.get()); }
  void truncate(std::size_t size) const { EXPECT_EQ(::ftruncate(fd(), static_cast<off_t>(size)), 0); }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{std::tmpfile(), &std::fclose};
};

using MakePair = SocketPair (*)();

class StreamTest : public testing::TestWithParam<std::pair<const char*, MakePair>> {
 protected:
  void SetUp() override {  // NOLINT(readability-identifier-naming): GoogleTest's
    // What the tests want to see is that it is not sent.
    before_ = std::signal(SIGPIPE, SIG_DFL);
    SocketPair pair = GetParam().second();
    far_ = std::move(pair.far);
    stream_ = std::make_unique<Stream>(std::move(pair.near));
  }
  void TearDown() override { std::signal(SIGPIPE, before_); }  // NOLINT(readability-identifier-naming): GoogleTest's

  // What is to be read must be there: the data of another socket is not always at once.
  void wait_until_readable() const {
    pollfd waiting{.fd = stream_->fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&waiting, 1, -1), 1);
  }

  // Sends until the kernel takes no more; returns how much it took.
  std::size_t fill(std::string_view text) {
    std::size_t sent = 0;
    for (;;) {
      const iovec rest = part(text.substr(sent));
      const IoResult result = stream_->send({&rest, 1});
      if (result.status != IoStatus::kDone) {
        expect(result, IoStatus::kWouldBlock, 0);
        return sent;
      }
      EXPECT_GT(result.bytes, 0U);
      sent += result.bytes;
    }
  }

  UniqueFd far_;
  std::unique_ptr<Stream> stream_;

 private:
  void (*before_)(int) = SIG_DFL;
};

TEST_P(StreamTest, Receives) {
  std::array<std::uint8_t, 4> bytes{};
  expect(stream_->receive(bytes), IoStatus::kWouldBlock, 0);
  write_all(far_.get(), "abcdef");
  wait_until_readable();
  expect(stream_->receive(bytes), IoStatus::kDone, 4);
  EXPECT_EQ(bytes, (std::array<std::uint8_t, 4>{'a', 'b', 'c', 'd'}));
  expect(stream_->receive(bytes), IoStatus::kDone, 2);
  expect(stream_->receive(bytes), IoStatus::kWouldBlock, 0);
}

TEST_P(StreamTest, SendsOnePartOrSeveral) {
  const std::array<iovec, 3> parts{part("ab"), part(""), part("cde")};
  expect(stream_->send({parts.data(), 1}), IoStatus::kDone, 2);
  expect(stream_->send(parts), IoStatus::kDone, 5);
  EXPECT_EQ(read_exactly(far_.get(), 7), "ababcde");
}

TEST_P(StreamTest, SendsAsManyPartsAsTheSystemTakes) {
  const std::string text = numbered_text(5000);
  std::vector<iovec> parts;
  for (std::size_t i = 0; i < text.size(); ++i) parts.push_back(part(std::string_view(text).substr(i, 1)));
  const IoResult result = stream_->send(parts);
  EXPECT_EQ(result.status, IoStatus::kDone);
  ASSERT_GT(result.bytes, 0U);
  EXPECT_EQ(read_exactly(far_.get(), result.bytes), text.substr(0, result.bytes));
}

TEST_P(StreamTest, SaysWhenTheKernelIsFullAndGoesOnLater) {
  const std::string text = numbered_text(64U << 20U);
  const std::size_t sent = fill(text);
  ASSERT_LT(sent, text.size());
  expect(stream_->send(std::array{part("a"), part("b")}), IoStatus::kWouldBlock, 0);
  EXPECT_TRUE(read_exactly(far_.get(), sent) == text.substr(0, sent));
  pollfd waiting{.fd = stream_->fd(), .events = POLLOUT, .revents = 0};
  EXPECT_EQ(::poll(&waiting, 1, -1), 1);
  expect(stream_->send(std::array{part("a"), part("b")}), IoStatus::kDone, 2);
  EXPECT_EQ(read_exactly(far_.get(), 2), "ab");
}

TEST_P(StreamTest, SaysHowMuchTheOtherSideHasNotTaken) {
  EXPECT_EQ(stream_->unacknowledged_bytes(), 0U);
  const std::size_t sent = fill(numbered_text(64U << 20U));
  const std::size_t before = stream_->unacknowledged_bytes();
  EXPECT_GT(before, 0U);
  read_exactly(far_.get(), sent);
  while (stream_->unacknowledged_bytes() > 0) std::this_thread::yield();
  stream_->close();
  EXPECT_EQ(stream_->unacknowledged_bytes(), 0U);
}

TEST_P(StreamTest, SeesTheEndAndCanStillSend) {
  write_all(far_.get(), "x");
  ASSERT_EQ(::shutdown(far_.get(), SHUT_WR), 0);
  std::array<std::uint8_t, 4> bytes{};
  wait_until_readable();
  expect(stream_->receive(bytes), IoStatus::kDone, 1);
  wait_until_readable();
  expect(stream_->receive(bytes), IoStatus::kEnd, 0);
  expect(stream_->receive(bytes), IoStatus::kEnd, 0);
  const iovec answer = part("y");
  expect(stream_->send({&answer, 1}), IoStatus::kDone, 1);
  EXPECT_EQ(read_exactly(far_.get(), 1), "y");
}

TEST_P(StreamTest, EndsSendingAndCanStillReceive) {
  stream_->shutdown_send();
  EXPECT_EQ(read_exactly(far_.get(), 1), "");
  write_all(far_.get(), "x");
  wait_until_readable();
  std::array<std::uint8_t, 4> bytes{};
  expect(stream_->receive(bytes), IoStatus::kDone, 1);
  const iovec late = part("y");
  expect(stream_->send({&late, 1}), IoStatus::kFailed, 0);
  expect(stream_->send(std::array{late, late}), IoStatus::kFailed, 0);
}

TEST_P(StreamTest, ClosesTheDescriptor) {
  stream_->close();
  EXPECT_EQ(stream_->fd(), -1);
  EXPECT_EQ(read_exactly(far_.get(), 1), "");
}

TEST_P(StreamTest, SendsAFile) {
  const std::string text = numbered_text(100000);
  const TestFile file(text);
  std::size_t sent = 0;
  std::string received;
  while (sent < 90000) {
    const IoResult result = stream_->send_file(file.fd(), static_cast<off_t>(10000 + sent), 90000 - sent);
    ASSERT_EQ(result.status, IoStatus::kDone);
    ASSERT_GT(result.bytes, 0U);
    sent += result.bytes;
    received += read_exactly(far_.get(), result.bytes);
  }
  EXPECT_EQ(sent, 90000U);
  EXPECT_TRUE(received == text.substr(10000));
  EXPECT_EQ(::lseek(file.fd(), 0, SEEK_CUR), 100000) << "was moved";
}

TEST_P(StreamTest, SendsNoMoreOfAFileThanAskedFor) {
  const TestFile file("0123456789");
  expect(stream_->send_file(file.fd(), 2, 3), IoStatus::kDone, 3);
  EXPECT_EQ(read_exactly(far_.get(), 3), "234");
}

TEST_P(StreamTest, SeesThatAFileHasBecomeShorter) {
  const TestFile file("0123456789");
  file.truncate(6);
  expect(stream_->send_file(file.fd(), 0, 10), IoStatus::kDone, 6);
  expect(stream_->send_file(file.fd(), 6, 4), IoStatus::kEnd, 0);
  EXPECT_EQ(read_exactly(far_.get(), 6), "012345");
  file.truncate(3);
  expect(stream_->send_file(file.fd(), 6, 4), IoStatus::kEnd, 0);
}

TEST_P(StreamTest, SendsAFileIntoAFullKernelLater) {
  const TestFile file("0123456789");
  const std::string text = numbered_text(64U << 20U);
  const std::size_t sent = fill(text);
  expect(stream_->send_file(file.fd(), 0, 10), IoStatus::kWouldBlock, 0);
  read_exactly(far_.get(), sent);
  pollfd waiting{.fd = stream_->fd(), .events = POLLOUT, .revents = 0};
  EXPECT_EQ(::poll(&waiting, 1, -1), 1);
  expect(stream_->send_file(file.fd(), 0, 10), IoStatus::kDone, 10);
}

TEST_P(StreamTest, CannotSendWhatIsNoFile) {
  const UniqueFd directory(::open("/", O_RDONLY));
  ASSERT_TRUE(directory);
  expect(stream_->send_file(directory.get(), 0, 10), IoStatus::kFailed, 0);
}

TEST_P(StreamTest, RaisesNoSignalWhenSendingToNobody) {
  const TestFile file("0123456789");
  stream_->shutdown_send();
  const iovec late = part("y");
  expect(stream_->send({&late, 1}), IoStatus::kFailed, 0);
  expect(stream_->send(std::array{late, late}), IoStatus::kFailed, 0);
  expect(stream_->send_file(file.fd(), 0, 10), IoStatus::kFailed, 0);
}

TEST_P(StreamTest, RaisesNoSignalWhenTheOtherSideGoesWhileAFileIsSent) {
  const TestFile file(numbered_text(1U << 20U));
  std::thread leaving([this] {
    read_exactly(far_.get(), 300000);
    far_.reset();
  });
  std::size_t sent = 0;
  IoResult result{IoStatus::kDone, 0};
  while (result.status != IoStatus::kFailed) {
    result = stream_->send_file(file.fd(), static_cast<off_t>(sent % 1000), 1U << 20U);
    sent += result.bytes;
  }
  leaving.join();
  EXPECT_GE(sent, 300000U);
}

bool is_pipe_signal_pending() {
  sigset_t pending;
  EXPECT_EQ(::sigpending(&pending), 0);
  return sigismember(&pending, SIGPIPE) == 1;
}

TEST_P(StreamTest, LeavesSignalsAndMaskAsTheyWere) {
  const TestFile file("0123456789");
  stream_->shutdown_send();
  sigset_t pipe;
  sigset_t before;
  sigset_t now;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  expect(stream_->send_file(file.fd(), 0, 10), IoStatus::kFailed, 0);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &pipe, &before), 0);
  EXPECT_EQ(sigismember(&before, SIGPIPE), 0);

  expect(stream_->send_file(file.fd(), 0, 10), IoStatus::kFailed, 0);
  EXPECT_FALSE(is_pipe_signal_pending());
  ASSERT_EQ(std::raise(SIGPIPE), 0);
  expect(stream_->send_file(file.fd(), 0, 10), IoStatus::kFailed, 0);
  ASSERT_TRUE(is_pipe_signal_pending()) << "is somebody else's";

  int signal = 0;
  ASSERT_EQ(::sigwait(&pipe, &signal), 0);
  ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, &before, &now), 0);
  EXPECT_EQ(sigismember(&now, SIGPIPE), 1);
}

INSTANTIATE_TEST_SUITE_P(Each, StreamTest,
                         testing::Values(std::pair<const char*, MakePair>("local", local_pair),
                                         std::pair<const char*, MakePair>("tcp", tcp_pair)),
                         [](const auto& info) { return std::string(info.param.first); });

TEST(StreamReset, LosesTheConnection) {
  for (const bool sends : {false, true}) {
    SocketPair pair = tcp_pair();
    Stream stream(std::move(pair.near));
    close_with_reset(pair.far);
    pollfd waiting{.fd = stream.fd(), .events = 0, .revents = 0};
    ASSERT_EQ(::poll(&waiting, 1, -1), 1);
    std::array<std::uint8_t, 16> bytes{};
    const iovec text = part("x");
    const IoResult result = sends ? stream.send({&text, 1}) : stream.receive(bytes);
    expect(result, IoStatus::kFailed, 0);
    EXPECT_EQ(result.error, ECONNRESET);
  }
}

TEST(UniqueFd, OwnsADescriptor) {
  const auto is_open = [](int fd) { return ::fcntl(fd, F_GETFD) >= 0; };
  UniqueFd first(::dup(0));
  const int fd = first.get();
  ASSERT_TRUE(first && is_open(fd));
  UniqueFd second(std::move(first));
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(second.get(), fd);
  UniqueFd& itself = second;
  second = std::move(itself);
  EXPECT_TRUE(is_open(fd));
  UniqueFd third(::dup(0));
  const int other = third.get();
  third = std::move(second);
  EXPECT_FALSE(is_open(other));
  EXPECT_EQ(third.release(), fd);
  EXPECT_TRUE(is_open(fd));
  UniqueFd(fd).reset();
  EXPECT_FALSE(is_open(fd));
}

}  // namespace
}  // namespace websockets
