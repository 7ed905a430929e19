#include "store.h"

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <quickfix/Exceptions.h>
#include <quickfix/FieldConvertors.h>
#include <quickfix/Utility.h>

namespace bridge {
namespace {

[[noreturn]] void fail(const char* what, const std::string& path) {
  throw FIX::IOException(std::string("Unable to ") + what + " " + path + ": " + strerror(errno));
}

// Return what a file holds, "" if there is none.
std::string contents(const std::string& path) {
  std::string text;
  int handle = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (handle < 0) {
    if (errno == ENOENT) return text;
    fail("open", path);
  }
  char block[1 << 16];
  for (;;) {
    ssize_t size = ::read(handle, block, sizeof block);
    if (size > 0) {
      text.append(block, static_cast<std::size_t>(size));
    } else if (size == 0 || errno != EINTR) {
      int error = errno;
      ::close(handle);
      if (size == 0) return text;
      errno = error;
      fail("read", path);
    }
  }
}

// Read a number and what ends it; return false, and stay, where there is none.
bool whole_number(const char*& at, char ends, uint64_t& value) {
  if (*at < '0' || *at > '9') return false;
  char* behind;
  value = strtoull(at, &behind, 10);
  if (*behind != ends) return false;
  at = behind + 1;
  return true;
}

}  // namespace

File::~File() { close(); }

void File::close() {
  if (handle_ >= 0) ::close(handle_);
  handle_ = -1;
}

void File::open(const std::string& path) {
  close();
  path_ = path;
  handle_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  struct stat found;
  if (handle_ < 0 || fstat(handle_, &found)) fail("open", path);
  end = found.st_size;
}

void File::write_at(const std::string& bytes, int64_t offset) const {
  std::size_t done = 0;
  while (done < bytes.size()) {
    ssize_t size = pwrite(handle_, bytes.data() + done, bytes.size() - done,
                          offset + static_cast<int64_t>(done));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) fail("write to", path_);
    done += static_cast<std::size_t>(size);
  }
}

void File::append(const std::string& bytes) {
  write_at(bytes, end);
  end += static_cast<int64_t>(bytes.size());
}

void File::write_first(const std::string& bytes) { write_at(bytes, 0); }

void File::cut() noexcept {
  // Where this fails as well, the next write begins at the same place all the same.
  if (ftruncate(handle_, end)) return;
}

std::string File::read(int64_t offset, std::size_t size) const {
  std::string text(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    ssize_t got =
        pread(handle_, &text[done], size - done, offset + static_cast<int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail("read from", path_);
    done += static_cast<std::size_t>(got);
  }
  return text;
}

Store::Store(const FIX::UtcTimeStamp& now, const std::string& folder,
             const FIX::SessionID& session)
    : created_(now) {
  FIX::file_mkdir(folder.c_str());
  prefix_ = FIX::file_appendpath(
      folder, session.getBeginString().getString() + "-" +
                  session.getSenderCompID().getString() + "-" +
                  session.getTargetCompID().getString() + ".");
  try {
    open(false);
  } catch (FIX::IOException& error) {
    throw FIX::ConfigError(error.what());
  }
}

void Store::open(bool empty) {
  const std::string session = prefix_ + "session";
  if (empty) {
    for (const char* name : {"body", "header", "seqnums", "session"}) {
      FIX::file_unlink((prefix_ + name).c_str());
    }
  }
  body_kept_.clear();
  header_kept_.clear();
  load();
  const bool fresh = access(session.c_str(), F_OK) != 0;
  body_.open(prefix_ + "body");
  header_.open(prefix_ + "header");
  numbers_.open(prefix_ + "seqnums");
  session_.open(session);
  if (fresh) write_created();
  write_numbers(sender_, target_);
}

void Store::load() {
  places_.clear();
  const std::string index = contents(prefix_ + "header");
  const char* at = index.c_str();
  uint64_t number, offset, size;
  // As far as QuickFIX reads it: up to the first triple that is none.
  while (whole_number(at, ',', number) && whole_number(at, ',', offset) &&
         whole_number(at, ' ', size)) {
    places_.insert_or_assign(places_.end(), number, Place(static_cast<int64_t>(offset), size));
  }
  load_numbers(prefix_ + "seqnums");
  const std::string created = contents(prefix_ + "session");
  if (!created.empty()) {
    created_ = FIX::UtcTimeStampConvertor::convert(created.substr(0, created.find_first_of(" \n")));
  }
}

void Store::load_numbers(const std::string& path) {
  uint64_t sender, target;
  if (sscanf(contents(path).c_str(), "%" SCNu64 " : %" SCNu64, &sender, &target) == 2) {
    sender_ = sender;
    target_ = target;
  }
}

bool Store::set(FIX::SEQNUM number, const std::string& message) {
  char row[64];
  const int64_t offset = body_.end + static_cast<int64_t>(body_kept_.size());
  const int length = snprintf(row, sizeof row, "%" PRIu64 ",%" PRId64 ",%zu ",
                              static_cast<uint64_t>(number), offset, message.size());
  const std::string index(row, static_cast<std::size_t>(length));
  if (held_) {
    body_kept_ += message;
    header_kept_ += index;
  } else {
    const int64_t before = body_.end;
    try {
      body_.append(message);
      header_.append(index);
    } catch (FIX::IOException&) {
      header_.cut();
      body_.end = before;
      body_.cut();
      throw;
    }
  }
  places_.insert_or_assign(places_.end(), number, Place(offset, message.size()));
  return true;
}

void Store::get(FIX::SEQNUM begin, FIX::SEQNUM end, std::vector<std::string>& result) const {
  result.clear();
  for (auto at = places_.lower_bound(begin); at != places_.end() && at->first <= end; ++at) {
    result.push_back(body_.read(at->second.first, at->second.second));
  }
}

void Store::number(FIX::SEQNUM sender, FIX::SEQNUM target) {
  if (!held_) write_numbers(sender, target);
  sender_ = sender;
  target_ = target;
}

void Store::write_numbers(FIX::SEQNUM sender, FIX::SEQNUM target) {
  char text[48];
  const int length = snprintf(text, sizeof text, "%020" PRIu64 " : %020" PRIu64,
                              static_cast<uint64_t>(sender), static_cast<uint64_t>(target));
  numbers_.write_first(std::string(text, static_cast<std::size_t>(length)));
}

void Store::write_created() {
  session_.write_first(FIX::UtcTimeStampConvertor::convert(created_));
}

void Store::hold() noexcept {
  held_ = true;
  sender_before_ = sender_;
}

void Store::release() {
  held_ = false;
  const int64_t body_before = body_.end, header_before = header_.end;
  try {
    body_.append(body_kept_);
    header_.append(header_kept_);
    write_numbers(sender_, target_);
  } catch (FIX::IOException&) {
    body_.end = body_before;
    header_.end = header_before;
    header_.cut();
    body_.cut();
    body_kept_.clear();
    header_kept_.clear();
    places_.erase(places_.lower_bound(sender_before_), places_.end());
    sender_ = sender_before_;
    throw;
  }
  body_kept_.clear();
  header_kept_.clear();
}

void Store::reset(const FIX::UtcTimeStamp& now) {
  sender_ = target_ = 1;
  created_ = now;
  try {
    open(true);
  } catch (std::exception& error) {
    throw FIX::IOException(error.what());
  }
}

void Store::refresh() {
  sender_ = target_ = 1;
  created_ = FIX::UtcTimeStamp::now();
  try {
    open(false);
  } catch (std::exception& error) {
    throw FIX::IOException(error.what());
  }
}

}  // namespace bridge
