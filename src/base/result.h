// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace websockets {

// Why something could not be had: a sentence for a person, and the system's errno where there is one, else 0.
struct Error {
  std::string text;  // empty: there is none
  int code = 0;

  explicit operator bool() const { return !text.empty(); }
};

// What errno says, behind what could not be done.
Error system_error(const std::string& what);

// A value, or the reason why there is none.
template <typename T>
class Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT(google-explicit-constructor): `return value;`
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor): `return Error{...};`

  explicit operator bool() const { return value_.has_value(); }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const Error& error() const { return error_; }

 private:
  std::optional<T> value_;
  Error error_;
};

}  // namespace websockets
