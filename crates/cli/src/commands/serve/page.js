// Posts an image that is chosen, dropped or pasted, and shows its classes. Names of classes and files
// only ever become text.
"use strict";

const at = (id) => document.getElementById(id);
let most = Infinity;
// The newest image: answers to earlier ones come too late.
let newest = 0;

const percent = (share) => `${(100 * share).toFixed(2)} %`;

function row({ name, probability }) {
  const item = document.createElement("li");
  const label = document.createElement("span");
  label.textContent = name;
  const share = document.createElement("span");
  share.className = "share";
  share.textContent = percent(probability);
  const bar = document.createElement("div");
  bar.className = "bar";
  const part = document.createElement("div");
  part.style.width = `${100 * probability}%`;
  bar.append(part);
  item.append(label, share, bar);
  return item;
}

function show(file, { label = "", classes = [], problem = "" }) {
  at("label").textContent = label;
  at("image").textContent = file.name;
  at("classes").replaceChildren(...classes.map(row));
  at("problem").textContent = problem;
  at("problem").hidden = problem === "";
  at("found").hidden = false;
}

async function ask(file) {
  if (file.size > most) throw new Error(`The image is longer than ${Math.floor(most / 2 ** 20)} MiB.`);
  const answer = await fetch("/predict", { method: "POST", body: file });
  const text = await answer.text();
  // A refused request is answered in plain text.
  if (!answer.headers.get("Content-Type")?.startsWith("application/json")) throw new Error(text);
  const { classes, error } = JSON.parse(text);
  if (error !== undefined) throw new Error(error);
  return classes;
}

async function take(file) {
  if (!file) return;
  newest += 1;
  const own = newest;
  const shown = at("shown");
  URL.revokeObjectURL(shown.src);
  shown.hidden = false;
  shown.src = URL.createObjectURL(file);
  shown.alt = `The image ${file.name}`;
  show(file, { label: "…" });
  let found;
  try {
    const classes = await ask(file);
    found = { label: classes[0].name, classes };
  } catch (error) {
    found = { label: "No classes", problem: error.message };
  }
  if (own === newest) show(file, found);
}

// What the browser cannot show, the network may still read.
at("shown").addEventListener("error", () => { at("shown").hidden = true; });
at("file").addEventListener("change", (event) => {
  take(event.target.files[0]);
  // The same file may be chosen again.
  event.target.value = "";
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  at("drop").classList.add("over");
});
addEventListener("dragleave", () => at("drop").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  take(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => take(event.clipboardData.files[0]));

async function about() {
  const answer = await fetch("/about");
  const { name, classes, image_size: side, channels, most_bytes: bytes } = await answer.json();
  most = bytes;
  at("name").textContent = name;
  document.title = `${name} · da2s serve`;
  const kind = channels === 1 ? "grey" : "colour";
  const listed = classes.length > 12 ? `${classes.slice(0, 12).join(", ")}, …` : classes.join(", ");
  at("about").textContent = `${classes.length} classes (${listed}), ${kind} images of ${side}×${side} pixels; others are resized`;
}

at("command").textContent = `curl --data-binary @photo.jpg ${location.origin}/predict`;
about().catch((error) => { at("about").textContent = `The server does not answer: ${error.message}`; });
