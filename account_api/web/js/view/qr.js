/* A text as a QR code, drawn as SVG: black on white in both themes, as scanners want it. */

import { encodeQR } from "../../vendor/qr/qr.js";

const SVG = "http://www.w3.org/2000/svg";
/** Modules of white around the code; ISO/IEC 18004 asks for four. */
const QUIET = 4;

export function qrCode(text, label) {
  const rows = encodeQR(text, "raw", { ecc: "medium", border: QUIET });
  const image = document.createElementNS(SVG, "svg");
  image.setAttribute("viewBox", `0 0 ${rows.length} ${rows.length}`);
  image.setAttribute("class", "qr");
  image.setAttribute("role", "img");
  image.setAttribute("aria-label", label);
  const dark = document.createElementNS(SVG, "path");
  dark.setAttribute("d", rows.flatMap((row, y) => row.map((on, x) => (on ? `M${x} ${y}h1v1h-1z` : ""))).join(""));
  image.append(dark);
  return image;
}
