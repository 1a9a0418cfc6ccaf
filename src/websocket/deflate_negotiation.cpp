// SPDX-License-Identifier: MIT
#include "websocket/deflate_negotiation.h"

#include <algorithm>
#include <utility>

#include "base/http_text.h"

namespace websockets {

namespace {

using http_text::trimmed;

constexpr std::uint8_t kLeastWindowBits = 8;         // RFC 7692 7.1.2
constexpr std::uint8_t kLeastDeflateWindowBits = 9;  // of zlib, without a zlib header

// What stands in an offer, or in the answer to one.
struct Offer {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  bool has_client_max_window_bits = false;
  bool has_value_of_client_max_window_bits = false;
  std::optional<std::uint8_t> server_max_window_bits;
  std::uint8_t client_max_window_bits = kMaxWindowBits;
};

std::string_view take_until(char separator, std::string_view& text) {
  const std::size_t end = text.find(separator);
  const std::string_view front = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return trimmed(front);
}

// 8 to 15, without leading zeros (RFC 7692 7.1.2). Between quotes it means the same (RFC 6455 9.1), with a backslash
// before any of the digits, too.
std::optional<std::uint8_t> parse_window_bits(std::string_view value) {
  const bool is_quoted = value.size() >= 2 && value.front() == '"';
  if (is_quoted) {
    value = value.substr(1, value.size() - 2);
  }
  unsigned bits = 0;
  for (; !value.empty(); value.remove_prefix(1)) {
    if (is_quoted && value.front() == '\\') {
      value.remove_prefix(1);
    }
    if (value.empty() || !http_text::is_digit(value.front()) || bits > 1 || (bits == 0 && value.front() == '0')) {
      return {};
    }
    bits = 10 * bits + static_cast<unsigned>(value.front() - '0');
  }
  if (bits < kLeastWindowBits || bits > kMaxWindowBits) {
    return {};
  }
  return static_cast<std::uint8_t>(bits);
}

bool take_flag(bool& flag, bool has_value) { return !has_value && !std::exchange(flag, true); }

bool take_server_max_window_bits(Offer& offer, std::string_view value) {
  const bool is_first = !offer.server_max_window_bits;
  offer.server_max_window_bits = parse_window_bits(value);
  return is_first && offer.server_max_window_bits;
}

// Without a value it says that the server may choose (RFC 7692 7.1.2.2).
bool take_client_max_window_bits(Offer& offer, bool has_value, std::string_view value) {
  const bool is_first = !std::exchange(offer.has_client_max_window_bits, true);
  offer.has_value_of_client_max_window_bits = has_value;
  const std::optional<std::uint8_t> bits = has_value ? parse_window_bits(value) : kMaxWindowBits;
  offer.client_max_window_bits = bits.value_or(0);
  return is_first && bits;
}

bool take_parameter(std::string_view parameter, Offer& offer) {
  const bool has_value = parameter.find('=') != std::string_view::npos;
  const std::string_view name = take_until('=', parameter);
  const std::string_view value = trimmed(parameter);
  if (name == "server_no_context_takeover") {
    return take_flag(offer.server_no_context_takeover, has_value);
  }
  if (name == "client_no_context_takeover") {
    return take_flag(offer.client_no_context_takeover, has_value);
  }
  if (name == "server_max_window_bits") {
    return take_server_max_window_bits(offer, value);
  }
  return name == "client_max_window_bits" && take_client_max_window_bits(offer, has_value, value);
}

std::optional<Offer> parse_offer(std::string_view extension) {
  if (take_until(';', extension) != "permessage-deflate") {
    return {};
  }
  Offer offer;
  while (extension.data() != nullptr) {
    if (!take_parameter(take_until(';', extension), offer)) {
      return {};
    }
  }
  return offer;
}

std::string name_and_flags(const DeflateParameters& parameters) {
  std::string text = "permessage-deflate";
  if (parameters.server_no_context_takeover) {
    text += "; server_no_context_takeover";
  }
  if (parameters.client_no_context_takeover) {
    text += "; client_no_context_takeover";
  }
  return text;
}

DeflateAgreement accept_offer(const Offer& offer, const DeflateParameters& wanted) {
  DeflateAgreement agreement;
  DeflateParameters& agreed = agreement.parameters;
  agreed.server_no_context_takeover = wanted.server_no_context_takeover || offer.server_no_context_takeover;
  agreed.client_no_context_takeover =
      wanted.client_no_context_takeover || offer.client_no_context_takeover ||
      (wanted.client_max_window_bits < kMaxWindowBits && !offer.has_client_max_window_bits);
  agreed.server_max_window_bits =
      std::min(wanted.server_max_window_bits, offer.server_max_window_bits.value_or(kMaxWindowBits));
  if (offer.has_client_max_window_bits) {
    agreed.client_max_window_bits = std::min(wanted.client_max_window_bits, offer.client_max_window_bits);
  }

  std::string& answer = agreement.answer;
  answer = name_and_flags(agreed);
  // RFC 7692 7.1.2.1: what was asked for is confirmed.
  if (offer.server_max_window_bits || agreed.server_max_window_bits < kMaxWindowBits) {
    answer.append("; server_max_window_bits=").append(std::to_string(agreed.server_max_window_bits));
  }
  if (agreed.client_max_window_bits < kMaxWindowBits) {
    answer.append("; client_max_window_bits=").append(std::to_string(agreed.client_max_window_bits));
  }
  return agreement;
}

}  // namespace

std::optional<DeflateAgreement> negotiate_deflate(std::string_view offers, const DeflateParameters& wanted) {
  // No token has a comma in it, not even between quotes.
  while (offers.data() != nullptr) {
    const std::optional<Offer> offer = parse_offer(http_text::take_list_element(offers));
    if (offer && offer->server_max_window_bits.value_or(kMaxWindowBits) >= kLeastDeflateWindowBits) {
      return accept_offer(*offer, wanted);
    }
  }
  return {};
}

std::string offer_deflate(const DeflateParameters& wanted) {
  std::string offer = name_and_flags(wanted);
  if (wanted.server_max_window_bits < kMaxWindowBits) {
    offer.append("; server_max_window_bits=").append(std::to_string(wanted.server_max_window_bits));
  }
  offer += "; client_max_window_bits";
  if (wanted.client_max_window_bits < kMaxWindowBits) {
    offer.append("=").append(std::to_string(wanted.client_max_window_bits));
  }
  return offer;
}

std::optional<DeflateParameters> accept_deflate_answer(std::string_view answer, const DeflateParameters& wanted) {
  std::optional<Offer> agreed;
  while (answer.data() != nullptr) {
    const std::string_view extension = http_text::take_list_element(answer);
    if (extension.empty()) {
      continue;
    }
    if (agreed || !(agreed = parse_offer(extension))) {
      return {};
    }
  }
  // RFC 7692 7.1.2.1: a server that does not do what it is asked for declines the offer. Of 7.1.1.1 that is not
  // insisted upon: uWebSockets keeps its window against the client's wish, and what it compresses can be read all the
  // same.
  if (!agreed || agreed->server_max_window_bits.value_or(kMaxWindowBits) > wanted.server_max_window_bits) return {};
  // RFC 7692 7.1.2.2: in an answer it has a value, which is not above that of the offer.
  if (agreed->has_client_max_window_bits != agreed->has_value_of_client_max_window_bits ||
      (agreed->has_client_max_window_bits && (agreed->client_max_window_bits > wanted.client_max_window_bits ||
                                              agreed->client_max_window_bits < kLeastDeflateWindowBits))) {
    return {};
  }
  // RFC 7692 7.1.1.2: the client may do what it has hinted at, whether or not the server repeats it.
  return DeflateParameters{
      .server_no_context_takeover = agreed->server_no_context_takeover,
      .client_no_context_takeover = agreed->client_no_context_takeover || wanted.client_no_context_takeover,
      .server_max_window_bits = agreed->server_max_window_bits.value_or(kMaxWindowBits),
      .client_max_window_bits = std::min(agreed->client_max_window_bits, wanted.client_max_window_bits)};
}

DeflateParameters mirrored(const DeflateParameters& parameters) {
  return {.server_no_context_takeover = parameters.client_no_context_takeover,
          .client_no_context_takeover = parameters.server_no_context_takeover,
          .server_max_window_bits = parameters.client_max_window_bits,
          .client_max_window_bits = parameters.server_max_window_bits};
}

}  // namespace websockets
