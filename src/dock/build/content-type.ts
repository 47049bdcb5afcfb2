import { posix } from "node:path";

// The types that web output holds. Source: IANA media types and the WHATWG MIME Sniffing standard.
const TEXT: Readonly<Record<string, string>> = {
  html: "text/html",
  htm: "text/html",
  css: "text/css",
  js: "text/javascript",
  mjs: "text/javascript",
  cjs: "text/javascript",
  txt: "text/plain",
  text: "text/plain",
  md: "text/markdown",
  csv: "text/csv",
  vtt: "text/vtt",
  ics: "text/calendar",
  xml: "application/xml",
  xsl: "application/xml",
  rss: "application/rss+xml",
  atom: "application/atom+xml",
  json: "application/json",
  map: "application/json",
  jsonld: "application/ld+json",
  geojson: "application/geo+json",
  webmanifest: "application/manifest+json",
  svg: "image/svg+xml",
  yaml: "application/yaml",
  yml: "application/yaml",
  xhtml: "application/xhtml+xml",
};

const BINARY: Readonly<Record<string, string>> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  apng: "image/apng",
  bmp: "image/bmp",
  tif: "image/tiff",
  tiff: "image/tiff",
  ico: "image/vnd.microsoft.icon",
  heic: "image/heic",
  jxl: "image/jxl",
  woff: "font/woff",
  woff2: "font/woff2",
  ttf: "font/ttf",
  otf: "font/otf",
  eot: "application/vnd.ms-fontobject",
  mp3: "audio/mpeg",
  m4a: "audio/mp4",
  aac: "audio/aac",
  ogg: "audio/ogg",
  oga: "audio/ogg",
  opus: "audio/ogg",
  wav: "audio/wav",
  flac: "audio/flac",
  weba: "audio/webm",
  mp4: "video/mp4",
  m4v: "video/mp4",
  webm: "video/webm",
  ogv: "video/ogg",
  mov: "video/quicktime",
  m3u8: "application/vnd.apple.mpegurl",
  ts: "video/mp2t",
  pdf: "application/pdf",
  wasm: "application/wasm",
  zip: "application/zip",
  gz: "application/gzip",
  br: "application/octet-stream",
  tar: "application/x-tar",
  glb: "model/gltf-binary",
  gltf: "model/gltf+json",
  rtf: "application/rtf",
  doc: "application/msword",
  docx: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  xls: "application/vnd.ms-excel",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  ppt: "application/vnd.ms-powerpoint",
  pptx: "application/vnd.openxmlformats-officedocument.presentationml.presentation",
};

/** The `Content-Type` of a path by its extension, charset included for text. */
export function contentTypeOf(path: string): string {
  const extension = posix.extname(path).slice(1).toLowerCase();
  const text = Object.hasOwn(TEXT, extension) ? TEXT[extension] : undefined;
  if (text) return `${text}; charset=utf-8`;
  const binary = Object.hasOwn(BINARY, extension) ? BINARY[extension] : undefined;
  return binary ?? "application/octet-stream";
}

/** True for types that shrink: text in any form, and the binary ones that are not compressed themselves. */
export function isCompressible(type: string): boolean {
  return COMPRESSIBLE.some((kind) => kind.test(type));
}

const COMPRESSIBLE = [
  /^text\//,
  /[/+](json|xml|javascript|wasm|yaml)\b/,
  /^image\/(bmp|vnd\.microsoft\.icon)/,
  /^font\/(ttf|otf)|fontobject|gltf-binary/,
];
