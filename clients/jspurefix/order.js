// Buys by FIX with jspurefix (https://github.com/TimelordUK/jspurefix), cancels the rest, logs out,
// logs on again with the sequence numbers that it has, and prints each report as one line of JSON.
//
//   npm ci --ignore-scripts
//   curl -O http://127.0.0.1:8080/FIX44.xml
//   node order.js FIX44.xml 127.0.0.1 9878 BTC-USD 0.5 60000 my-first
//
// The numbers are kept in the folder ./store. Amounts: jspurefix makes JavaScript numbers of
// FIX's floats, so choose ones that a double holds, or read the text of the message.
'use strict'

require('reflect-metadata')
const path = require('path')
const { AsciiSession, EmptyLogFactory, MsgType, SessionLauncher } = require('jspurefix')

const [dictionary, host, port, symbol, quantity, price, id] = process.argv.slice(2)
if (!id) {
  console.error('usage: node order.js FIX44.xml HOST PORT SYMBOL QUANTITY PRICE ID')
  process.exit(2)
}
const WAIT_S = Number(process.env.WAIT_S || 20)

const description = {
  application: {
    type: 'initiator',
    name: 'tandem',
    reconnectSeconds: 5,
    protocol: 'ascii',
    dictionary: path.resolve(dictionary),
    tcp: { host, port: Number(port) }
  },
  Username: 'alice',
  Password: 'alice-demo',
  EncryptMethod: 0,
  ResetSeqNumFlag: false,
  HeartBtInt: 30,
  SenderCompId: 'ALICE',
  TargetCompID: 'TANDEM',
  BeginString: 'FIX.4.4',
  store: { type: 'file', directory: path.resolve('store') }
}

class Client extends AsciiSession {
  // `step` is called with this session when it is logged on, and then with each report.
  constructor (config, step) {
    super(config)
    this.step = step
  }

  onReady () { this.step(this, null) }

  onApplicationMsg (type, view) {
    if (type !== MsgType.ExecutionReport) return
    const report = view.toObject()
    console.log(JSON.stringify({
      ClOrdID: report.ClOrdID, ExecType: report.ExecType, CumQty: report.CumQty,
      LeavesQty: report.LeavesQty, MsgSeqNum: report.StandardHeader.MsgSeqNum
    }))
    this.step(this, report)
  }

  onLogon () { return true }
  onStopped (error) { if (error) console.error(`stopped: ${error.message}`) }
  onDecoded () {}
  onEncoded () {}
}

class Launcher extends SessionLauncher {
  constructor (step) {
    super(description, null, new EmptyLogFactory())
    this.step = step
  }

  makeFactory () { return { makeSession: (config) => new Client(config, this.step) } }
}

function order (client, fields) {
  client.send(MsgType.NewOrderSingle, {
    Symbol: symbol, Side: '1', OrdType: '2', TimeInForce: '1',
    TransactTime: new Date(), OrderQty: Number(quantity),
    Price: Number(price), ...fields
  })
}

function first (client, report) {
  if (report === null) return order(client, { ClOrdID: id })
  if (report.ClOrdID === id && report.ExecType === 'F' && report.LeavesQty > 0) {
    client.send(MsgType.OrderCancelRequest, {
      ClOrdID: `${id}-cancel`, OrigClOrdID: id, Symbol: symbol, Side: '1',
      TransactTime: new Date(), OrderQty: Number(quantity)
    })
  }
  if (report.ExecType === '4') client.done()
}

function second (client, report) {
  if (report === null) return order(client, { ClOrdID: `${id}-2`, TimeInForce: '3' })
  if (report.ClOrdID === `${id}-2` && report.ExecType === '4') client.done()
}

const late = setTimeout(() => {
  console.error(`nothing more came within ${WAIT_S} s`)
  process.exit(1)
}, WAIT_S * 1000)

async function main () {
  await new Launcher(first).run()
  await new Launcher(second).run()
  clearTimeout(late)
}

main().then(() => process.exit(0), (error) => {
  console.error(error)
  process.exit(1)
})
