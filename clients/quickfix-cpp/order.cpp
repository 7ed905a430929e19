// Sends one order by FIX and prints the report that comes back, with QuickFIX in C++.
//
//   g++ -std=c++17 -o order clients/quickfix-cpp/order.cpp -lquickfix -lpthread
//   ./order clients/quickfix-cpp/tandem.cfg buy BTC-USD 0.5 60000 my-first
//
// QuickFIX 1.15, which Debian 12 has (libquickfix-dev), needs -std=c++14 and debian12.cfg.
#include <quickfix/Application.h>
#include <quickfix/FileStore.h>
#include <quickfix/SessionSettings.h>
#include <quickfix/SocketInitiator.h>

#include <future>
#include <iostream>
#include <string>

// Before C++17 an override must name the exceptions of what it overrides.
#if __cplusplus < 201703L
#define THROWS(...) throw(__VA_ARGS__)
#else
#define THROWS(...)
#endif

class Client : public FIX::NullApplication {
public:
    std::promise<FIX::SessionID> online;
    std::promise<std::string> report;

    explicit Client(std::string name) : name_(std::move(name)) {}

    void onLogon(const FIX::SessionID& session) override {
        if (!known_) online.set_value(session);
        known_ = true;
    }

    void toAdmin(FIX::Message& message, const FIX::SessionID&) override {
        FIX::MsgType type;
        message.getHeader().getField(type);
        if (type == FIX::MsgType_Logon) {
            message.setField(FIX::Username("alice"));
            message.setField(FIX::Password("alice-demo"));
        }
    }

    void fromApp(const FIX::Message& message, const FIX::SessionID&)
        THROWS(FIX::FieldNotFound, FIX::IncorrectDataFormat, FIX::IncorrectTagValue,
               FIX::UnsupportedMessageType) override {
        // Reports that were missed come first; a real program takes them in.
        if (told_ || !message.isSetField(11) || message.getField(11) != name_) return;
        report.set_value(message.toString());
        told_ = true;
    }

private:
    std::string name_;
    bool known_ = false;
    bool told_ = false;
};

int main(int count, char** words) {
    if (count != 7) {
        std::cerr << "order SETTINGS buy|sell SYMBOL QUANTITY PRICE ID\n";
        return 2;
    }
    FIX::SessionSettings settings(words[1]);
    Client client(words[6]);
    FIX::FileStoreFactory store(settings);
    FIX::SocketInitiator initiator(client, store, settings);
    initiator.start();
    const FIX::SessionID session = client.online.get_future().get();

    FIX::Message order;
    order.getHeader().setField(FIX::MsgType(FIX::MsgType_NewOrderSingle));
    order.setField(FIX::ClOrdID(words[6]));
    order.setField(FIX::Symbol(words[3]));
    order.setField(FIX::Side(std::string(words[2]) == "buy" ? FIX::Side_BUY : FIX::Side_SELL));
    order.setField(FIX::OrdType(FIX::OrdType_LIMIT));
    order.setField(FIX::TimeInForce(FIX::TimeInForce_GOOD_TILL_CANCEL));
    order.setField(FIX::TransactTime());
    order.setField(38, words[4]);  // OrderQty and Price as text: no floating point on the way.
    order.setField(44, words[5]);
    FIX::Session::sendToTarget(order, session);

    std::cout << client.report.get_future().get() << std::endl;
    initiator.stop();
    return 0;
}
