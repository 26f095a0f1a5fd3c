// Draw avatars of npm packages and rasterise SVG files: node draw_avatar.mjs PACKAGES JOBS
//
// PACKAGES is a folder in which npm installed the packages; JOBS a JSON file with `svg`, a list of
// [svg file, png file], and `avatar`, a list of {style, folder, count, views}. Of an avatar the
// seed is the identity; mouth, eyes and the side it looks to are other ones in each view.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [packages, jobFile] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(packages), "index.js"));
const load = (name) =>
  import(pathToFileURL(path.join(path.resolve(packages), "node_modules", name)));
const { Resvg } = require("@resvg/resvg-js");
const job = JSON.parse(fs.readFileSync(jobFile, "utf8"));
const EXPRESSION = /^(mouth|eyes|eyebrows|brows|lips|face|mood|gesture)$/;
const HAS_FACE_AS_SHAPE = ["bigEars", "bottts", "croodles", "bigSmile"]; // `face` is the head here
const SIDE_PX = 320;

let failed = 0;

function write(svg, file) {
  try {
    const size = new Resvg(svg);
    const fit = size.width >= size.height ? "width" : "height";
    const picture = new Resvg(svg, { fitTo: { mode: fit, value: SIDE_PX } }).render().asPng();
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, picture);
  } catch {
    failed += 1;
  }
}

function keep(style, name, seed, createAvatar) {
  // Options that draw the seed's figure again, but for what an expression changes.
  const chosen = createAvatar(style, { seed }).toJson().extra;
  const option = {};
  for (const key of Object.keys(style.schema.properties)) {
    const base = key.replace(/Probability$/, "");
    if (EXPRESSION.test(base) && !(base === "face" && HAS_FACE_AS_SHAPE.includes(name))) continue;
    if (key !== base) option[key] = chosen[base] ? 100 : 0;
    else if (typeof chosen[key] === "string") option[key] = [chosen[key].replace(/^#/, "")];
  }
  return option;
}

const dicebear = job.avatar.some((a) => a.style.startsWith("dicebear:"));
const { createAvatar } = dicebear ? await load("@dicebear/core/lib/index.js") : {};
const collection = dicebear ? await load("@dicebear/collection/lib/index.js") : {};
for (const { style, folder, count, views } of job.avatar) {
  const [kind, name] = style.split(":");
  for (let k = 0; k < count; k += 1) {
    const seed = `figure-${k}`;
    let face;
    for (let view = 0; view < views; view += 1) {
      let svg;
      if (kind === "dicebear") {
        const fixed = keep(collection[name], name, seed, createAvatar);
        const turn = { flip: view % 2 === 1, rotate: [0, 0, 8, 352][view % 4] };
        svg = createAvatar(collection[name], { ...fixed, ...turn, seed: `${seed}-${view}` });
      } else {
        const { generate, faceToSvgString } = require("facesjs");
        if (view === 0) face = generate();
        const { mouth, eyebrow } = view ? generate() : face;
        svg = faceToSvgString({ ...face, mouth, eyebrow });
      }
      write(svg.toString(), path.join(folder, seed, `${view}.png`));
    }
  }
}
for (const [svg, png] of job.svg) write(fs.readFileSync(svg), png);
if (failed) console.error(`${failed} drawings could not be rasterised`);
