// QuickFIX for the gateway with fewer ways between it and Python: the module `_bridge`.
//
// QuickFIX stays the acceptor and the judge of every session. What is done here in one step is what
// SWIG's wrapper does in several, each with the interpreter's lock given away and taken again:
//
// * `acceptor` makes QuickFIX's acceptor with the store of store.h, a log that writes a message in
//   one piece, and callbacks of which the two that every order meets are short: `fromApp` hands
//   Python the text alone, `toApp` of a burst is not asked.
// * `send` gives a session many messages at once. Each goes through QuickFIX's Session::send; what
//   QuickFIX then stores and sends is kept, and leaves in one piece when all of it is stored.
//
// The objects of SWIG come as their addresses, which `int(object.this)` is. Compiled with
// -fno-access-control, since a session shows neither its lock nor its connection.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cerrno>
#include <exception>
#include <string>
#include <unistd.h>
#include <vector>

#include <quickfix/Application.h>
#include <quickfix/DataDictionary.h>
#include <quickfix/Log.h>
#include <quickfix/Message.h>
#include <quickfix/Session.h>
#include <quickfix/SocketAcceptor.h>

#include "store.h"

namespace bridge {
namespace {

// The interpreter's lock, given away.
class Without {
 public:
  Without() : state_(PyEval_SaveThread()) {}
  ~Without() { PyEval_RestoreThread(state_); }

 private:
  PyThreadState* state_;
};

// The interpreter's lock, taken.
class With {
 public:
  With() : state_(PyGILState_Ensure()) {}
  ~With() { PyGILState_Release(state_); }

 private:
  PyGILState_STATE state_;
};

template <class T>
T* at(PyObject* address) {
  return static_cast<T*>(PyLong_AsVoidPtr(address));
}

thread_local bool sending = false;  // This thread is in `send`.

// Callbacks: to Python, most of them by way of SWIG's director.
class Callbacks : public FIX::Application {
 public:
  Callbacks(FIX::Application* python, PyObject* take) : python_(*python), take_(take) {}

  void onCreate(const FIX::SessionID& session) override { python_.onCreate(session); }
  void onLogon(const FIX::SessionID& session) override { python_.onLogon(session); }
  void onLogout(const FIX::SessionID& session) override { python_.onLogout(session); }
  void toAdmin(FIX::Message& message, const FIX::SessionID& session) override {
    python_.toAdmin(message, session);
  }
  void toApp(FIX::Message& message, const FIX::SessionID& session) override {
    if (!sending) python_.toApp(message, session);
  }
  void fromAdmin(const FIX::Message& message, const FIX::SessionID& session) override {
    python_.fromAdmin(message, session);
  }
  void fromApp(const FIX::Message& message, const FIX::SessionID& session) override {
    message.toString(text_);
    if (!common(text_)) {
      python_.fromApp(message, session);
      return;
    }
    With lock;
    PyObject* text = PyUnicode_DecodeASCII(text_.data(), Py_ssize_t(text_.size()), nullptr);
    PyObject* done = text ? PyObject_CallOneArg(take_, text) : nullptr;
    if (!done) PyErr_WriteUnraisable(take_);
    Py_XDECREF(done);
    Py_XDECREF(text);
  }

 private:
  // Return whether Python can take a message without saying anything to QuickFIX about it: it is
  // ASCII, and no repeat, which may have to be rejected.
  static bool common(const std::string& text) {
    for (unsigned char each : text) {
      if (each & 0x80) return false;
    }
    return text.find("\00143=") == std::string::npos;
  }

  FIX::Application& python_;
  PyObject* take_;
  std::string text_;
};

// Writes on standard output what QuickFIX's ScreenLog does, each message in one piece.
class Log : public FIX::Log {
 public:
  explicit Log(std::string name) : name_(std::move(name)) {}

  void clear() override {}
  void backup() override {}
  void onIncoming(const std::string& text) override { write(text, ", incoming>\n  ("); }
  void onOutgoing(const std::string&) override {}
  void onEvent(const std::string& text) override { write(text, ", event>\n  ("); }

 private:
  void write(const std::string& text, const char* what) {
    std::string line = "<";
    line.reserve(text.size() + name_.size() + 64);
    line += FIX::UtcTimeStampConvertor::convert(FIX::UtcTimeStamp::now(), 9);
    line += ", ";
    line += name_;
    line += what;
    const std::size_t begin = line.size();
    line += text;
    for (std::size_t i = begin; i < line.size(); ++i) {
      if (line[i] == '\001') line[i] = '|';
    }
    line += ")\n";
    // Sessions write from several threads, and a pipe may take a long line in pieces.
    static FIX::Mutex one_at_a_time;
    FIX::Locker lock(one_at_a_time);
    for (std::size_t done = 0; done < line.size();) {
      ssize_t size = ::write(STDOUT_FILENO, line.data() + done, line.size() - done);
      if (size < 0 && errno != EINTR) return;
      if (size > 0) done += static_cast<std::size_t>(size);
    }
  }

  std::string name_;
};

class LogFactory : public FIX::LogFactory {
 public:
  explicit LogFactory(std::string server) : server_(std::move(server)) {}
  FIX::Log* create() override { return new Log("GLOBAL"); }
  FIX::Log* create(const FIX::SessionID& session) override {
    return new Log(FIX::SessionID(session.getBeginString(), server_, session.getTargetCompID())
                       .toString());
  }
  void destroy(FIX::Log* log) override { delete log; }

 private:
  std::string server_;
};

// Keeps what a session sends.
class Kept : public FIX::Responder {
 public:
  bool send(const std::string& message) override {
    bytes += message;
    return true;
  }
  void disconnect() override {}  // QuickFIX disconnects under the session's lock, which we hold.

  std::string bytes;
};

// What `send` keeps of one session for its time; the session's lock is held.
class Burst {
 public:
  explicit Burst(FIX::Session& session)
      : session_(session),
        lock_(session.m_mutex),
        store_(static_cast<Store&>(*session.m_state.store())),
        responder_(session.m_pResponder) {
    if (responder_) session_.m_pResponder = &kept_;
    FIX::Locker lock(session_.m_state.m_mutex);
    store_.hold();
    sending = true;
  }
  ~Burst() {
    if (sending) end();
  }

  // Store and send what was kept; return false where it could not be stored.
  bool end() {
    sending = false;
    session_.m_pResponder = responder_;
    try {
      FIX::Locker lock(session_.m_state.m_mutex);
      store_.release();
    } catch (FIX::IOException& error) {
      session_.m_state.onEvent(error.what());
      return false;
    }
    if (responder_ && !kept_.bytes.empty()) responder_->send(kept_.bytes);
    return true;
  }

 private:
  FIX::Session& session_;
  FIX::Locker lock_;
  Store& store_;
  FIX::Responder* responder_;
  Kept kept_;
};

// Read texts as messages; return the index of the first that is none, or -1.
Py_ssize_t read(const std::vector<std::string>& texts, const FIX::DataDictionary& dictionary,
                std::vector<FIX::Message>& messages) {
  if (messages.size() < texts.size()) messages.resize(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    try {
      messages[i].setString(texts[i], false, &dictionary);
    } catch (std::exception&) {
      return Py_ssize_t(i);
    }
  }
  return -1;
}

// Give a session one message; return false where it does not take it.
bool taken(FIX::Session& session, FIX::Message& message) {
  try {
    return session.send(message);
  } catch (std::exception& error) {
    session.m_state.onEvent(error.what());
    return false;
  }
}

const char SEND[] =
    "send(session, dictionary, texts)\n--\n\n"
    "Store and send messages in one piece; return how many, and the number behind the last.\n\n"
    "All of them, or as many as QuickFIX takes; none where they cannot be stored. Raises "
    "IndexError with the place of a text that is no message, and then does nothing.";

PyObject* send(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 3 || !PyList_Check(arguments[2])) {
    PyErr_SetString(PyExc_TypeError, "send(session, dictionary, texts)");
    return nullptr;
  }
  auto* session = at<FIX::Session>(arguments[0]);
  auto* dictionary = at<FIX::DataDictionary>(arguments[1]);
  if (!session || !dictionary) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "no session or no dictionary");
    return nullptr;
  }
  std::vector<std::string> texts;
  const Py_ssize_t size = PyList_GET_SIZE(arguments[2]);
  texts.reserve(std::size_t(size));
  for (Py_ssize_t i = 0; i < size; ++i) {
    Py_ssize_t length;
    const char* text = PyUnicode_AsUTF8AndSize(PyList_GET_ITEM(arguments[2], i), &length);
    if (!text) return nullptr;
    texts.emplace_back(text, std::size_t(length));
  }
  Py_ssize_t bad, sent = 0;
  FIX::SEQNUM next = 0;
  {
    Without lock;
    static thread_local std::vector<FIX::Message> messages;  // Made once: each has many parts.
    bad = read(texts, *dictionary, messages);
    if (bad < 0) {
      Burst burst(*session);
      while (sent < size && taken(*session, messages[std::size_t(sent)])) ++sent;
      if (!burst.end()) sent = 0;
      next = session->getExpectedSenderNum();
    }
  }
  if (bad >= 0) {
    PyErr_SetObject(PyExc_IndexError, PyLong_FromSsize_t(bad));
    return nullptr;
  }
  return Py_BuildValue("nK", sent, static_cast<unsigned long long>(next));
}

// The acceptor and all that it has plain pointers to but what is Python's, which outlives it.
struct Parts {
  Parts(FIX::Application* python, PyObject* take, const FIX::SessionSettings& settings,
        const std::string& folder, const std::string& server)
      : callbacks(python, take),
        stores(folder),
        logs(server),
        acceptor(callbacks, stores, settings, logs) {}

  Callbacks callbacks;
  StoreFactory stores;
  LogFactory logs;
  FIX::SocketAcceptor acceptor;
};

const char PARTS[] = "fix_gateway._bridge.acceptor";

Parts* parts_of(PyObject* capsule) {
  return static_cast<Parts*>(PyCapsule_GetPointer(capsule, PARTS));
}

void end(PyObject* capsule) {
  Parts* parts = parts_of(capsule);
  PyObject* take = static_cast<PyObject*>(PyCapsule_GetContext(capsule));
  {
    Without lock;
    delete parts;
  }
  Py_XDECREF(take);
}

const char ACCEPTOR[] =
    "acceptor(application, take, settings, folder, server)\n--\n\n"
    "Make an acceptor, for `block`; application and settings must outlive it.\n\n"
    "`take` is called with the text of each common application message, and raises nothing. Stores "
    "are in `folder`; in the log each session's name has `server` for ours. Raises RuntimeError.";

PyObject* acceptor(PyObject*, PyObject* arguments) {
  PyObject *application, *take, *settings;
  const char *folder, *server;
  if (!PyArg_ParseTuple(arguments, "OOOss", &application, &take, &settings, &folder, &server)) {
    return nullptr;
  }
  auto* python = at<FIX::Application>(application);
  auto* values = at<FIX::SessionSettings>(settings);
  if (!python || !values) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "no application or no settings");
    return nullptr;
  }
  Py_INCREF(take);
  const std::string where = folder, name = server;
  Parts* parts = nullptr;
  std::string fault;
  {
    Without lock;
    try {
      parts = new Parts(python, take, *values, where, name);
    } catch (std::exception& error) {
      fault = error.what();
    }
  }
  if (!parts) {
    Py_DECREF(take);
    PyErr_SetString(PyExc_RuntimeError, fault.c_str());
    return nullptr;
  }
  PyObject* capsule = PyCapsule_New(parts, PARTS, end);
  if (capsule) PyCapsule_SetContext(capsule, take);
  return capsule;
}

const char BLOCK[] =
    "block(acceptor)\n--\n\nRun an acceptor on this thread. Raises RuntimeError when it fails.";

PyObject* block(PyObject*, PyObject* capsule) {
  Parts* parts = parts_of(capsule);
  if (!parts) return nullptr;
  std::string fault;
  bool failed = false;
  {
    Without lock;
    try {
      parts->acceptor.block();
    } catch (std::exception& error) {
      failed = true;
      fault = error.what();
    }
  }
  if (failed) {
    PyErr_SetString(PyExc_RuntimeError, fault.c_str());
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"acceptor", acceptor, METH_VARARGS, ACCEPTOR},
    {"block", block, METH_O, BLOCK},
    {"send", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(send)), METH_FASTCALL,
     SEND},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_bridge", "QuickFIX with fewer ways between it and Python.", -1,
    methods, nullptr, nullptr, nullptr, nullptr,
};

}  // namespace
}  // namespace bridge

// MADE_FOR says which build of QuickFIX this one is for.
PyMODINIT_FUNC PyInit__bridge() {
  PyObject* made = PyModule_Create(&bridge::module);
  if (made && PyModule_AddStringConstant(made, "MADE_FOR", MADE_FOR)) Py_CLEAR(made);
  return made;
}
