# Signed requests in a shell with curl and openssl. Source this file, then for instance:
#
#     key=demo-alice-trade
#     call GET /v1/orders
#     call POST /v1/orders '{"client_order_id":"my-1","symbol":"BTC-USD","side":"buy","quantity":"0.1","price":"100"}'
#
# Set `secret` as well, unless the key is one of the demo's, whose secret is <key>-secret.

api=${api:-http://127.0.0.1:8080}

sign() { # method target body [idempotency key]; sets ts and sig
  ts=$(date +%s%3N)
  sig=$(printf '%s\n' "$ts" "$1" "$2" "$(printf %s "$3" | openssl dgst -sha256 -r | cut -d' ' -f1)" ${4:+"$4"} |
    head -c -1 | openssl dgst -sha256 -hmac "${secret:-$key-secret}" -r | cut -d' ' -f1)
}

call() { # method target [body [idempotency key]]
  sign "$1" "$2" "${3:-}" "${4:-}"
  curl -s -X "$1" "$api$2" ${3:+-H 'Content-Type: application/json' --data-binary "$3"} \
    ${4:+-H "Idempotency-Key: $4"} -H "X-Tandem-Key: $key" \
    -H "X-Tandem-Timestamp: $ts" -H "X-Tandem-Signature: $sig"
}
