// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>

#include "http/request_parser.h"
#include "request_feeder.h"

namespace websockets {
namespace {

using namespace std::string_literals;

struct Refused {
  const char* name;
  int status;
  std::string stream;
};

std::ostream& operator<<(std::ostream& out, const Refused& refused) { return out << refused.name; }

class RequestRefusal : public testing::TestWithParam<Refused> {};

TEST_P(RequestRefusal, ComesHoweverTheStreamIsSplit) {
  const std::string log = log_however_split(GetParam().stream);
  const std::string error = "error " + std::to_string(GetParam().status) + "\n";
  EXPECT_TRUE(log == error || (log.starts_with("head ") && log.ends_with("\n" + error))) << log;
  EXPECT_EQ(log.find("complete"), std::string::npos) << log;
}

std::string name_of(const testing::TestParamInfo<Refused>& info) { return info.param.name; }

std::string with_headers(const std::string& headers) { return "POST / HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n\r\n"; }

std::string with_line(const std::string& request_line) { return request_line + "\r\nHost: a\r\n\r\n"; }

const Refused kRequestLines[] = {
    {"Http09", 400, "GET /\r\n\r\n"},
    {"NoTarget", 400, with_line("GET  HTTP/1.1")},
    {"NoVersion", 400, with_line("GET / ")},
    {"ShortVersion", 400, with_line("GET / HTTP/1")},
    {"ShortVersionWithoutHeaders", 400, "GET / HT\r\n\r\n"},
    {"LongVersion", 400, with_line("GET / HTTP/1.10")},
    {"LowerCaseVersion", 400, with_line("GET / http/1.1")},
    {"OtherProtocol", 400, with_line("GET / RTSP/1.0")},
    {"BlankBehindVersion", 400, with_line("GET / HTTP/1.1 ")},
    {"TwoBlanks", 400, with_line("GET /  HTTP/1.1")},
    {"BlankInTarget", 400, with_line("GET /a b HTTP/1.1")},
    {"TabInsteadOfBlank", 400, with_line("GET\t/ HTTP/1.1")},
    {"TabInTarget", 400, with_line("GET /\ta HTTP/1.1")},
    {"NulInTarget", 400, with_line("GET /\0 HTTP/1.1"s)},
    {"CrInTarget", 400, with_line("GET /\ra HTTP/1.1")},
    {"DeleteInTarget", 400, with_line("GET /\x7f HTTP/1.1")},
    {"CrBehindVersion", 400, with_line("GET / HTTP/1.1\r")},
    {"RelativeTarget", 400, with_line("GET a HTTP/1.1")},
    {"TargetIsAQuery", 400, with_line("GET ?a HTTP/1.1")},
    {"TargetWithFragment", 400, with_line("GET /a#b HTTP/1.1")},
    {"AsteriskForGet", 400, with_line("GET * HTTP/1.1")},
    {"AuthorityForGet", 400, with_line("GET a:443 HTTP/1.1")},
    {"Connect", 501, with_line("CONNECT a:443 HTTP/1.1")},
    {"UriWithoutHost", 400, with_line("GET http:///a HTTP/1.1")},
    {"UriWithUser", 400, with_line("GET http://a@b/ HTTP/1.1")},
    {"UriOfOtherScheme", 400, with_line("GET ftp://a/ HTTP/1.1")},
    {"Version09", 505, with_line("GET / HTTP/0.9")},
    {"Version21", 505, with_line("GET / HTTP/2.1")},
    {"Version20", 505, with_line("GET / HTTP/2.0")},
    {"Http2Preface", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    {"NineEmptyLines", 400, "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n"},
    {"CrWithoutLf", 400, "\rGET / HTTP/1.0\r\n\r\n"},
};
INSTANTIATE_TEST_SUITE_P(RequestLines, RequestRefusal, testing::ValuesIn(kRequestLines), name_of);

const Refused kFields[] = {
    {"NoHost", 400, "GET / HTTP/1.1\r\n\r\n"},
    {"TwoHosts", 400, with_headers("Host: a")},
    {"TwoHostsInOne", 400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"},
    {"HostWithPath", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    {"HostWithUser", 400, "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"},
    {"HostWithOddPort", 400, "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"},
    {"BareLf", 400, "GET / HTTP/1.1\nHost: a\r\n\r\n"},
    {"BareLfBehindHeader", 400, with_headers("A: b\nC: d")},
    {"BareLfAsEmptyLine", 400, "GET / HTTP/1.1\r\nHost: a\r\n\nGET / HTTP/1.1\r\n\r\n"},
    {"BareCrInValue", 400, with_headers("A: b\rTransfer-Encoding: chunked")},
    {"BareCrBeforeName", 400, with_headers("\rA: b")},
    {"CrCrLf", 400, with_headers("A: b\r")},
    {"FoldedLine", 400, with_headers("A: b\r\n c")},
    {"FoldedLineWithTab", 400, with_headers("A:\r\n\tb")},
    {"FoldedFirstHeader", 400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
    {"FoldedEmptyLine", 400, with_headers("A: b\r\n ")},
    {"BlankBeforeColon", 400, with_headers("Content-Length : 5")},
    {"TabBeforeColon", 400, with_headers("Transfer-Encoding\t: chunked")},
    {"BlankInName", 400, with_headers("A B: c")},
    {"NoName", 400, with_headers(": a")},
    {"NoColon", 400, with_headers("A")},
    {"NulInName", 400, with_headers("A\0: b"s)},
    {"HighByteInName", 400, with_headers("\xc3\xa4: b")},
    {"ParenthesisInName", 400, with_headers("A(b): c")},
    {"NulInValue", 400, with_headers("A: b\0c"s)},
    {"EscapeInValue", 400, with_headers("A: \x1b[2J")},
    {"DeleteInValue", 400, with_headers("A: b\x7f")},
    {"VerticalTabInValue", 400, with_headers("Transfer-Encoding: \vchunked")},
    {"ConnectionIsNotAList", 400, with_headers("Connection: a b")},
    {"UnknownExpectation", 417, with_headers("Content-Length: 1\r\nExpect: 200-ok")},
};
INSTANTIATE_TEST_SUITE_P(Fields, RequestRefusal, testing::ValuesIn(kFields), name_of);

const Refused kFraming[] = {
    {"EqualLengths", 400, with_headers("Content-Length: 5\r\nContent-Length: 5")},
    {"DifferentLengths", 400, with_headers("Content-Length: 5\r\nContent-Length: 6")},
    {"LengthsInOne", 400, with_headers("Content-Length: 5, 5")},
    {"EmptyLength", 400, with_headers("Content-Length:")},
    {"SignedLength", 400, with_headers("Content-Length: +5")},
    {"NegativeLength", 400, with_headers("Content-Length: -5")},
    {"HexLength", 400, with_headers("Content-Length: 0x5")},
    {"FractionalLength", 400, with_headers("Content-Length: 5.0")},
    {"LengthWithBlank", 400, with_headers("Content-Length: 5 5")},
    {"LengthOverflow", 400, with_headers("Content-Length: 18446744073709551616")},
    {"LengthThenChunked", 400, with_headers("Content-Length: 5\r\nTransfer-Encoding: chunked")},
    {"ChunkedThenLength", 400, with_headers("Transfer-Encoding: chunked\r\nContent-Length: 5")},
    {"ChunkedThenLengthZero", 400, with_headers("Transfer-Encoding: chunked\r\nContent-Length: 0")},
    {"UnknownThenLength", 501, with_headers("Transfer-Encoding: xchunked\r\nContent-Length: 5")},
    {"LengthThenHuge", 400, with_headers("Content-Length: 99999999\r\nUpgrade: websocket")},
    {"ChunkedTwice", 400, with_headers("Transfer-Encoding: chunked, chunked")},
    {"ChunkedInTwoLines", 400, with_headers("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")},
    {"IdentityThenChunked", 501, with_headers("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked")},
    {"ChunkedThenIdentity", 400, with_headers("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity")},
    {"ChunkedNotLast", 400, with_headers("Transfer-Encoding: chunked, gzip")},
    {"GzipThenChunked", 501, with_headers("Transfer-Encoding: gzip, chunked")},
    {"Identity", 501, with_headers("Transfer-Encoding: identity")},
    {"NotQuiteChunked", 501, with_headers("Transfer-Encoding: xchunked")},
    {"QuotedChunked", 400, with_headers("Transfer-Encoding: \"chunked\"")},
    {"ChunkedWithParameter", 400, with_headers("Transfer-Encoding: chunked;q=1")},
    {"ChunkedWithComma", 400, with_headers("Transfer-Encoding: chunked,")},
    {"CommaThenChunked", 400, with_headers("Transfer-Encoding: ,chunked")},
    {"EmptyTransferEncoding", 400, with_headers("Transfer-Encoding:")},
    {"Http10Chunked", 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"WebsocketWithLength", 400, with_headers("Upgrade: websocket\r\nContent-Length: 5")},
    {"WebsocketWithChunks", 400, with_headers("Upgrade: x, websocket\r\nTransfer-Encoding: chunked")},
};
INSTANTIATE_TEST_SUITE_P(Framing, RequestRefusal, testing::ValuesIn(kFraming), name_of);

std::string with_chunks(const std::string& chunks) { return with_headers("Transfer-Encoding: chunked") + chunks; }

const Refused kChunks[] = {
    {"NoSize", 400, with_chunks("\r\n")},
    {"SizeIsNotHex", 400, with_chunks("g\r\n")},
    {"SizeWithPrefix", 400, with_chunks("0x5\r\n")},
    {"SignedSize", 400, with_chunks("+5\r\n")},
    {"NegativeSize", 400, with_chunks("-0\r\n")},
    {"BlankBeforeSize", 400, with_chunks(" 5\r\n")},
    {"BlankBehindSize", 400, with_chunks("5 \r\n")},
    {"BlankBehindLastSize", 400, with_chunks("0 \r\n\r\n")},
    {"SizeOverflow", 400, with_chunks("10000000000000005\r\n")},
    {"SizeUnderscore", 400, with_chunks("1_0\r\n")},
    {"BareLfBehindSize", 400, with_chunks("5\nhello")},
    {"BareCrBehindSize", 400, with_chunks("5\rhello\r\n")},
    {"BareLfBehindChunk", 400, with_chunks("5\r\nhello\n")},
    {"NothingBehindChunk", 400, with_chunks("5\r\nhello0\r\n")},
    {"LongerThanSaid", 400, with_chunks("5\r\nhello!\r\n")},
    {"BlankBeforeSecondSize", 400, with_chunks("5\r\nhello\r\n 5\r\n")},
    {"EmptySecondSize", 400, with_chunks("5\r\nhello\r\n\r\n")},
    {"BareLfInExtension", 400, with_chunks("5;a\nb\r\n")},
    {"BareCrInExtension", 400, with_chunks("5;a\rb\r\n")},
    {"NulInExtension", 400, with_chunks("5;a=\"\0\"\r\n"s)},
    {"CrInQuotedExtension", 400, with_chunks("5;a=\"\rb\"\r\n")},
    {"OpenQuoteInExtension", 400, with_chunks("5;a=\"\r\n")},
    {"OpenQuoteInLastExtension", 400, with_chunks("0;a=\"\r\n\"\r\n\r\n")},
    {"ExtensionWithoutName", 400, with_chunks("5;\r\n")},
    {"ExtensionWithoutSemicolon", 400, with_chunks("5 a\r\n")},
    {"HugeExtension", 400, with_chunks("5;a=" + std::string(8192, 'x'))},
    {"HugeTrailer", 400, with_chunks("0\r\na: " + std::string(8192, 'x'))},
    {"FoldedTrailer", 400, with_chunks("0\r\na: b\r\n c\r\n\r\n")},
    {"FoldedFirstTrailer", 400, with_chunks("0\r\n a: b\r\n\r\n")},
    {"BareLfInTrailer", 400, with_chunks("0\r\na: b\n\r\n")},
    {"BareLfBehindLastChunk", 400, with_chunks("0\r\n\n")},
    {"BareCrBeforeTrailer", 400, with_chunks("0\r\n\ra: b\r\n\r\n")},
    {"MalformedTrailer", 400, with_chunks("0\r\na b: c\r\n\r\n")},
    {"ContentLengthInTrailer", 400, with_chunks("0\r\nContent-Length: 5\r\n\r\n")},
    {"TransferEncodingInTrailer", 400, with_chunks("0\r\nTransfer-Encoding: chunked\r\n\r\n")},
};
INSTANTIATE_TEST_SUITE_P(Chunks, RequestRefusal, testing::ValuesIn(kChunks), name_of);

TEST(RequestRefusalAtOnce, OfWhatSpeaksAnotherProtocol) {
  EXPECT_EQ(refused_behind("\x16\x03\x01\x02\0\x01"s), 1U);  // TLS
  EXPECT_EQ(refused_behind("\x80\x2e\x01"), 1U);             // SSL 2
  EXPECT_EQ(refused_behind("\x81\x85"), 1U);                 // a frame
  EXPECT_EQ(refused_behind("\0\0"s), 1U);
  EXPECT_EQ(refused_behind("\nGET / HTTP/1.1"), 1U);
  EXPECT_EQ(refused_behind(" GET / HTTP/1.1"), 1U);
  EXPECT_EQ(refused_behind("{\"a\": 1}"), 1U);
  EXPECT_EQ(refused_behind("*1\r\n$4\r\nPING\r\n"), 3U);  // Redis
  EXPECT_EQ(refused_behind("SSH-2.0-OpenSSH_9.2\r\n"), 20U);
  EXPECT_EQ(refused_behind("<policy-file-request/>\0"s), 1U);
}

TEST(RequestRefusalAtOnce, OfTheLineThatIsWrong) {
  const auto refused_chunk_byte = [](const std::string& chunks) {
    return refused_behind(with_chunks(chunks)) - with_chunks("").size();
  };
  // Not only when further lines have come.
  EXPECT_EQ(refused_chunk_byte("0x5\r\nhello\r\n0\r\n\r\n"), 5U);
  EXPECT_EQ(refused_chunk_byte("5;a=\"\r\n\r\n\r\n"), 7U);
  EXPECT_EQ(refused_chunk_byte("5\r\nhelloX\r\n0\r\n\r\n"), 11U);
  EXPECT_EQ(refused_behind("GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n"), 21U);
  EXPECT_EQ(refused_behind("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n"), 26U);
}

}  // namespace
}  // namespace websockets
