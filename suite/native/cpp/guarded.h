// How every function of the shim is entered and left: what a body throws becomes a text for the caller.
#pragma once

#include <c10/util/Exception.h>

#include <cstring>
#include <exception>

// A text that needs no memory, for the case that there is none left to report that there is none left.
inline char kNoMemory[] = "out of memory";

inline char* owned(const char* text) {
  char* copy = strdup(text);
  return copy != nullptr ? copy : kNoMemory;
}

// Runs one body and turns whatever it throws into text. The only way in.
template <typename F>
char* guarded(F&& body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const c10::Error& e) {
    return owned(e.what_without_backtrace());
  } catch (const std::exception& e) {
    return owned(e.what());
  } catch (...) {
    return owned("an exception of unknown type");
  }
}
