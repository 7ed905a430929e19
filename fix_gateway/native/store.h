// QuickFIX's file store in the same files and the same format, with fewer calls to the kernel.
//
// QuickFIX's own seeks, reads a page and writes in each of its files for every message. This one
// writes at places that it knows, and what belongs to a burst in one piece. The order is the same:
// messages, index, numbers, and only then does anything leave for the client.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <quickfix/MessageStore.h>
#include <quickfix/SessionID.h>

namespace bridge {

// A file that is appended to at a place that we keep.
class File {
 public:
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();

  // Open or create it; throws FIX::IOException. `end` is where the next bytes go.
  void open(const std::string& path);
  void close();
  void append(const std::string& bytes);
  // Replace its beginning.
  void write_first(const std::string& bytes);
  // Forget what stands behind `end`: it was written in part.
  void cut() noexcept;
  // Read so many bytes at a place; throws FIX::IOException where there are fewer.
  std::string read(int64_t offset, std::size_t size) const;

  int64_t end = 0;

 private:
  void write_at(const std::string& bytes, int64_t offset) const;

  int handle_ = -1;
  std::string path_;
};

// One session's store. Its caller holds the lock of the session's state, as QuickFIX does.
class Store : public FIX::MessageStore {
 public:
  Store(const FIX::UtcTimeStamp& now, const std::string& folder, const FIX::SessionID& session);

  bool set(FIX::SEQNUM number, const std::string& message) override;
  void get(FIX::SEQNUM begin, FIX::SEQNUM end, std::vector<std::string>& result) const override;

  FIX::SEQNUM getNextSenderMsgSeqNum() const override { return sender_; }
  FIX::SEQNUM getNextTargetMsgSeqNum() const override { return target_; }
  void setNextSenderMsgSeqNum(FIX::SEQNUM value) override { number(value, target_); }
  void setNextTargetMsgSeqNum(FIX::SEQNUM value) override { number(sender_, value); }
  void incrNextSenderMsgSeqNum() override { number(sender_ + 1, target_); }
  void incrNextTargetMsgSeqNum() override { number(sender_, target_ + 1); }

  FIX::UtcTimeStamp getCreationTime() const override { return created_; }
  void reset(const FIX::UtcTimeStamp& now) override;
  void refresh() override;

  // Keep what comes in memory until `release`.
  void hold() noexcept;
  // Write what was kept. Throws FIX::IOException, and then nothing of it is in the store: the
  // outgoing number is that of before.
  void release();

 private:
  using Place = std::pair<int64_t, std::size_t>;  // Where in the body, and how long.

  void open(bool empty);
  void load();
  void load_numbers(const std::string& path);
  void number(FIX::SEQNUM sender, FIX::SEQNUM target);
  void write_numbers(FIX::SEQNUM sender, FIX::SEQNUM target);
  void write_created();

  std::string prefix_;
  File body_, header_, numbers_, session_;
  FIX::SEQNUM sender_ = 1, target_ = 1;
  FIX::UtcTimeStamp created_;
  std::map<FIX::SEQNUM, Place> places_;
  bool held_ = false;
  FIX::SEQNUM sender_before_ = 1;
  std::string body_kept_, header_kept_;
};

class StoreFactory : public FIX::MessageStoreFactory {
 public:
  explicit StoreFactory(std::string folder) : folder_(std::move(folder)) {}
  FIX::MessageStore* create(const FIX::UtcTimeStamp& now, const FIX::SessionID& session) override {
    return new Store(now, folder_, session);
  }
  void destroy(FIX::MessageStore* store) override { delete store; }

 private:
  std::string folder_;
};

}  // namespace bridge
