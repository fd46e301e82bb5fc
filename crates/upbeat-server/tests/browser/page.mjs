// Drives the page in headless Chromium as a user would: demo, microphone (fed from a file), file drop, a server that is
// restarted. Every state is kept as a picture.
//
//     npm ci && node page.mjs SERVER-PROGRAM [FOLDER FOR PICTURES]
//
// Needs Chromium (Debian: `apt-get install chromium`), or CHROMIUM with its path.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const program = process.argv[2];
assert.ok(program, "usage: node page.mjs SERVER-PROGRAM [FOLDER]");
const temporary = mkdtempSync(join(tmpdir(), "upbeat-page-"));
const pictures = process.argv[3] ?? temporary;
mkdirSync(pictures, { recursive: true });

/** Clicks of a decaying 1 kHz tone at 120 BPM, the first at 0.5 s, as a 16-bit WAV of one channel. */
function clicks(seconds, rate = 48000) {
  const count = seconds * rate;
  const wav = Buffer.alloc(44 + 2 * count);
  wav.write("RIFF", 0);
  wav.writeUInt32LE(36 + 2 * count, 4);
  wav.write("WAVEfmt ", 8);
  [16, 0x10001, rate, 2 * rate, 0x100002].forEach((word, i) => wav.writeUInt32LE(word, 16 + 4 * i));
  wav.write("data", 36);
  wav.writeUInt32LE(2 * count, 40);
  for (let i = 0; i < count; i++) {
    const since = (i % (rate / 2)) / rate;
    const sample = i < rate / 2 ? 0 : 0.8 * Math.exp(-since * 60) * Math.sin(2 * Math.PI * 1000 * since);
    wav.writeInt16LE(Math.round(32767 * sample), 44 + 2 * i);
  }
  return wav;
}

/** Starts the server, and waits until it says where it is. */
async function serve(address) {
  const server = spawn(program, ["--address", address], { stdio: ["ignore", "pipe", "inherit"] });
  const url = await new Promise((resolve, reject) => {
    server.stdout.on("data", (text) => {
      const found = /http:\S+/.exec(text);
      if (found) resolve(found[0]);
    });
    server.on("exit", (code) => reject(new Error(`the server has ended with ${code}`)));
  });
  return { server, url };
}

const end = (server) => new Promise((resolve) => {
  if (server.exitCode !== null || server.signalCode !== null) return resolve();
  server.on("exit", resolve);
  server.kill("SIGTERM");
});

const file = join(temporary, "clicks.wav");
writeFileSync(file, clicks(60));
let { server, url } = await serve("127.0.0.1:0");
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  userDataDir: join(temporary, "profile"),
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream", `--use-file-for-fake-audio-capture=${file}%noloop`,
    "--autoplay-policy=no-user-gesture-required",
  ],
});

try {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 1180 });
  const strangers = [];
  const errors = [];
  // Only what gets through: ReDoc asks for its maker's logo, which the page's policy keeps from happening.
  page.on("requestfinished", (request) => {
    if (!request.url().startsWith(url) && !/^(data|blob|ws):/.test(request.url())) strangers.push(request.url());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    // That the server is away is told by the browser, too.
    if (message.type() === "error" && !/WebSocket connection|ERR_CONNECTION_REFUSED/.test(message.text())) {
      errors.push(message.text());
    }
  });
  const picture = (name) => page.screenshot({ path: join(pictures, `${name}.png`) });
  const wait = (test, what, ...args) =>
    page.waitForFunction(test, { timeout: 60_000, polling: 50 }, ...args).catch(() => assert.fail(what));
  const text = (id) => page.$eval(`#${id}`, (element) => element.textContent);
  const analyses = () => wait(() => window.upbeat.state.analysis && performance.now() - window.upbeat.state.received < 500, "no analyses come");
  const step = (name) => console.log(`page: ${name}`);

  await page.goto(url);
  await page.waitForSelector("#demo");
  await picture("1-start");
  step("it is there");

  await page.keyboard.press("d");
  await analyses();
  assert.equal(await text("connection"), "connected");
  await wait(() => window.upbeat.state.analysis?.chord, "no chord");
  await wait(() => window.upbeat.state.analysis?.energy > 0, "no energy");
  await new Promise((resolve) => setTimeout(resolve, 4000));
  await picture("2-demo");
  step("the demo plays");

  await page.keyboard.press("t");
  await new Promise((resolve) => setTimeout(resolve, 200));
  await picture("3-demo-other-theme");
  await page.setViewport({ width: 390, height: 844 });
  await new Promise((resolve) => setTimeout(resolve, 300));
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 390, `the page is ${wide} pixels wide on a phone`);
  await page.screenshot({ path: join(pictures, "4-phone.png"), fullPage: true });
  await page.setViewport({ width: 1280, height: 1180 });
  step("it fits a phone, dark and light");

  // Sixty pictures a second if the machine is not busy otherwise; a third of that in any case.
  const pictured = await page.evaluate(() => new Promise((resolve) => {
    let [count, start] = [0, performance.now()];
    const tick = () => performance.now() - start < 2000 ? (count++, requestAnimationFrame(tick)) : resolve(count / 2);
    requestAnimationFrame(tick);
  }));
  console.log(`page: ${pictured} pictures/s`);

  // The demo plays on until the microphone is there.
  await page.evaluate(() => { window.before = window.upbeat.stream; });
  await page.keyboard.press("m");
  await wait(() => window.upbeat.stream && window.upbeat.stream !== window.before, "no microphone");
  await analyses();
  await wait(() => window.upbeat.state.onsetCount >= 8, "no onsets");
  const between = await page.evaluate(() => {
    const { onsets } = window.upbeat.state;
    return onsets.slice(1).map((onset, i) => onset.time - onsets[i].time);
  });
  for (const gap of between) {
    const beats = gap / 0.5;
    assert.ok(Math.abs(beats - Math.round(beats)) < 0.1, `onsets are ${gap} s apart`);
  }

  // The pulse lands on the beat: when the page lights it up, by the page's clock, against the clicks.
  await wait(() => window.upbeat.state.lastBeat !== null, "no beat is predicted");
  const late = await page.evaluate(() => new Promise((resolve) => {
    const { state, sound, now } = window.upbeat;
    const [pulses, until] = [[], performance.now() + 6000];
    let last = state.lastBeat;
    const look = () => {
      if (state.lastBeat !== last) {
        last = state.lastBeat;
        pulses.push(now() / sound.sampleRate);
      }
      if (performance.now() < until) return requestAnimationFrame(look);
      const nearest = (pulse) => state.onsets.map(({ time }) => pulse - time)
        .reduce((best, gap) => (Math.abs(gap) < Math.abs(best) ? gap : best), Infinity);
      resolve(pulses.map(nearest));
    };
    look();
  }));
  late.sort((a, b) => Math.abs(a) - Math.abs(b));
  console.log(`page: ${late.length} pulses, off by ${late.map((gap) => (1000 * gap).toFixed(0)).join(", ")} ms`);
  assert.ok(late.length >= 8, `${late.length} pulses in 6 s of 120 beats per minute`);
  // One in ten may come late where the machine was busy elsewhere.
  const most = Math.abs(late[Math.floor(0.9 * late.length)]);
  assert.ok(most <= 0.05, `a pulse is off by ${most} s`);
  await picture("5-microphone");
  const latency = await page.evaluate(async () => {
    const [latencies, trips] = [[], []];
    for (let i = 0; i < 50; i++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      latencies.push(window.upbeat.state.latency);
      trips.push(window.upbeat.stream.roundTrip);
    }
    const median = (values) => values.sort((a, b) => a - b)[25];
    return { sound: median(latencies), trip: median(trips) };
  });
  console.log(`page: sound to answer ${latency.sound.toFixed(1)} ms, round trip ${latency.trip.toFixed(1)} ms (medians)`);
  step("the microphone is heard");

  // The server is stopped, and another one started in its place.
  await end(server);
  await wait(() => document.getElementById("connection").dataset.state === "waiting", "the loss is not told");
  await picture("6-lost");
  ({ server } = await serve(new URL(url).host));
  await wait(() => document.getElementById("connection").dataset.state === "connected", "no reconnection");
  await analyses();
  await picture("7-again");
  step("a restarted server is found again");

  const bytes = clicks(6).toString("base64");
  await page.evaluate((encoded) => {
    const raw = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([raw], "clicks.wav", { type: "audio/wav" }));
    window.dropped = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
    document.body.dispatchEvent(new DragEvent("dragenter", { dataTransfer, bubbles: true, cancelable: true }));
  }, bytes);
  await picture("8-drag");
  await page.evaluate(() => {
    window.before = window.upbeat.stream;
    document.body.dispatchEvent(window.dropped);
  });
  await wait(() => window.upbeat.stream && window.upbeat.stream !== window.before, "the file is not taken");
  await wait(() => window.upbeat.state.onsetCount >= 8, "the dropped file is not heard");
  await picture("9-dropped");
  await wait(() => /at its end/.test(document.getElementById("notice").textContent), "the file does not end");
  await picture("10-end");
  step("a dropped file is played to its end");

  await page.evaluate(() => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(["no sound"], "letter.txt"));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
  });
  await wait(() => /no sound/.test(document.getElementById("notice").textContent), "a wrong file is not told");
  await picture("11-no-sound");
  assert.deepEqual(errors, []);

  for (const [path, selector, name] of [["api/docs/", ".opblock", "12-swagger"], ["api/redoc", "h1", "13-redoc"]]) {
    await page.goto(url + path);
    await page.waitForSelector(selector, { timeout: 60_000 });
    await picture(name);
  }
  step("the interface is described");
  assert.deepEqual(strangers, [], "requests to elsewhere");
  console.log(`page: all is well; pictures are in ${pictures}`);
} finally {
  await browser.close();
  await end(server);
  if (pictures !== temporary) rmSync(temporary, { recursive: true, force: true });
}
