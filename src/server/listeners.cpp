// SPDX-License-Identifier: MIT
#include "server/listeners.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "net/listener.h"
#include "server/options.h"

namespace websockets {
namespace {

// Whether the other workers are to share what there is at this address. What was given to this process may be such that
// it could not open it itself.
bool is_one_for_all(const Error& error, const ListenOptions& options) {
  return error.code == ENOTSUP || (options.source != nullptr && error.code != EADDRINUSE);
}

}  // namespace

// Several of one name are those of its slots.
void Listeners::add(Listener listener) {
  auto acceptor = std::make_unique<Acceptor>(loop_, owner_, std::move(listener));
  for (Place& place : places_) {
    if (place.front()->listener().name == acceptor->listener().name) return place.push_back(std::move(acceptor));
  }
  places_.emplace_back().push_back(std::move(acceptor));
}

Error Listeners::open(const ContextOptions& options) {
  const auto add_all = [&](Result<std::vector<Listener>> opened) {
    if (!opened) return opened.error();
    for (Listener& listener : *opened) add(std::move(listener));
    return Error{};
  };
  if (options.port != 0) {
    Error error = add_all(listen_on_interface(options.interface, options.port, options.listen_options));
    if (error) return error;
  }
  for (const std::string& where : options.listen) {
    Error error = add_all(listen_at(where, options.listen_options));
    if (error) return error;
  }
  return options.workers > 0 ? open_slots(options, options.workers) : Error{};
}

Error Listeners::open_slots(const ContextOptions& options, std::size_t count) {
  for (Place& place : places_) {
    while (place.size() < count) {
      Result<Listener> listener = listen_beside(place.front()->listener(), options.listen_options);
      if (!listener && is_one_for_all(listener.error(), options.listen_options)) break;
      if (!listener) return listener.error();
      place.push_back(std::make_unique<Acceptor>(loop_, owner_, std::move(*listener)));
    }
  }
  return {};
}

template <typename Function>
void Listeners::for_each(Function function) const {
  for (const Place& place : places_) {
    for (const auto& acceptor : place) function(*acceptor);
  }
}

// A previous version of the program may have left more of them than there are workers now.
template <typename Function>
void Listeners::for_each_of(std::size_t slot, std::size_t count, Function function) const {
  for (const Place& place : places_) {
    const bool is_shared = place.size() < count;
    if (is_shared) {
      function(*place[slot % place.size()], true);
      continue;
    }
    for (std::size_t i = slot; i < place.size(); i += count) function(*place[i], false);
  }
}

Error Listeners::start() {
  bool is_started = true;
  for_each([&](Acceptor& acceptor) { is_started = acceptor.start() && is_started; });
  return is_started ? Error{} : system_error("the listener cannot be watched");
}

void Listeners::suspend() {
  for_each([](Acceptor& acceptor) { acceptor.suspend(); });
}

void Listeners::stop() {
  is_stopped_ = true;
  for_each([](Acceptor& acceptor) { acceptor.stop(); });
}

void Listeners::own_files() {
  for_each([](Acceptor& acceptor) { acceptor.own_file(); });
}

void Listeners::abandon() {
  is_stopped_ = true;
  for_each([](Acceptor& acceptor) { acceptor.abandon(); });
}

void Listeners::share() {
  for_each([](Acceptor& acceptor) { acceptor.share_file(); });
}

Error Listeners::serve(std::size_t slot, std::size_t count) {
  if (is_stopped_) return {};
  bool is_started = true;
  for_each_of(slot, count,
              [&](Acceptor& acceptor, bool is_shared) { is_started = acceptor.start(is_shared) && is_started; });
  return is_started ? Error{} : system_error("the listener cannot be watched");
}

void Listeners::leave(std::size_t slot, std::size_t count) {
  if (is_stopped_) return;
  for_each_of(slot, count, [](Acceptor& acceptor, bool is_shared) {
    if (!is_shared) acceptor.suspend();
  });
}

const Acceptor* Listeners::find(const Pollable* pollable) const {
  const Acceptor* found = nullptr;
  for_each([&](const Acceptor& acceptor) {
    if (&acceptor == pollable) found = &acceptor;
  });
  return found;
}

}  // namespace websockets
