/* Signed requests over HTTP. */

import { Problem, lost } from "./stream.js";

const REST_MS = 10_000;

/** Ask or do something. Rejects with Problem; `outcome` unknown where no answer came. */
export async function rest(signer, method, target, body) {
  const text = body === undefined ? "" : JSON.stringify(body);
  const headers = await signer.headers(method, target, text);
  if (text) headers["Content-Type"] = "application/json";
  let answer;
  let content;
  try {
    const signal = AbortSignal.timeout(REST_MS);
    answer = await fetch(target, { method, headers, body: text || undefined, signal });
    content = await answer.json();
  } catch {
    throw lost();
  }
  if (!answer.ok) throw new Problem(content);
  return content;
}
