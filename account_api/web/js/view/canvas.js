/* A canvas that is as sharp as the screen and is drawn again when it changes its size. */

import { oncePerFrame } from "../lib/events.js";

/** Calls `paint(context, width, height, colours)` once a frame when `again()` was called. */
export function sharpCanvas(canvas, paint) {
  const again = oncePerFrame(() => {
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width || !height) return;
    const ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    paint(context, width, height, colours());
  });
  new ResizeObserver(again).observe(canvas);
  addEventListener("themechange", again);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  return again;
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const found = {};
  for (const name of ["text", "muted", "line", "buy", "sell", "buy-soft", "sell-soft", "accent", "card"]) {
    found[name] = style.getPropertyValue(`--${name}`).trim();
  }
  return { ...found, font: `11px ${style.getPropertyValue("--mono")}` };
}

/** Round steps for an axis: about `count` of them between two values. */
export function ticks(low, high, count) {
  const raw = (high - low) / Math.max(count, 1);
  if (!(raw > 0)) return [];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= raw);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) found.push(value);
  return found;
}

/** A label of an axis. It marks a place on the screen; amounts are shown from their text. */
export function axisText(value, digits) {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
