// Every way in which a script in the page could send something to the address `to`. `gets` says how far it gets in a window
// without guards: "connected", "looked up", or "perhaps nowhere" where it depends on WebKit's version.
const add = (tag, attributes, inside = "") => {
  const element = document.createElement(tag);
  for (const name in attributes) element.setAttribute(name, attributes[name]);
  element.innerHTML = inside;
  document.body.append(element);
  return element;
};
const pageOf = (body) => URL.createObjectURL(new Blob([body], { type: "text/html" }));
const connected = (run) => ({ run, gets: "connected" });
const lookedUp = (run) => ({ run, gets: "looked up" });
const perhapsNowhere = (run) => ({ run, gets: "perhaps nowhere" });
const field = "<input name=data value=1>";

const ways = {
  location: connected((to) => (location.href = to)),
  "location replaced": connected((to) => location.replace(to)),
  link: connected((to) => add("a", { href: to }).click()),
  "link to a new window": connected((to) => add("a", { href: to, target: "_blank" }).click()),
  download: connected((to) => add("a", { href: to, download: "data" }).click()),
  "ping of a link": perhapsNowhere((to) => add("a", { href: "#x", ping: to }).click()),
  refresh: connected((to) => add("meta", { "http-equiv": "refresh", content: "0;url=" + to })),
  form: connected((to) => add("form", { action: to }, field).submit()),
  "form that posts": connected((to) => add("form", { action: to, method: "post" }, field).submit()),
  "form in a new window": connected((to) => add("form", { action: to, target: "_blank" }, field).submit()),
  popup: connected((to) => window.open(to)),
  frame: connected((to) => add("iframe", { src: to })),
  "frame with a document": connected((to) => add("iframe", { srcdoc: `<img src="${to}">` })),
  "frame with a blob": connected((to) => add("iframe", { src: pageOf(`<img src="${to}">`) })),
  object: connected((to) => add("object", { data: to })),
  embed: connected((to) => add("embed", { src: to })),
  base: connected((to) => {
    const base = add("base", { href: to });
    add("img", { src: "data" });
    base.remove();
  }),
  fetch: connected((to) => fetch(to, { mode: "no-cors" })),
  XMLHttpRequest: connected((to) => {
    const request = new XMLHttpRequest();
    request.open("POST", to);
    request.send("data");
  }),
  beacon: connected((to) => navigator.sendBeacon(to, "data")),
  image: connected((to) => (new Image().src = to)),
  "image of a drawing": connected((to) => add("div", {}, `<svg><image href="${to}"/></svg>`)),
  background: connected((to) => add("div", { style: `background: url(${to}); width: 9px; height: 9px` })),
  "imported style": connected((to) => add("style", {}, `@import "${to}";`)),
  "style sheet": connected((to) => add("link", { rel: "stylesheet", href: to })),
  font: connected((to) => new FontFace("data", `url(${to})`).load()),
  video: perhapsNowhere((to) => add("video", { src: to, preload: "auto" })),
  script: connected((to) => (add("script", {}).src = to)),
  module: connected((to) => import(to)),
  icon: perhapsNowhere((to) => add("link", { rel: "icon", href: to })),
  manifest: perhapsNowhere((to) => add("link", { rel: "manifest", href: to })),
  preload: connected((to) => add("link", { rel: "preload", as: "image", href: to })),
  prefetch: perhapsNowhere((to) => add("link", { rel: "prefetch", href: to })),
  preconnect: connected((to) => add("link", { rel: "preconnect", href: to })),
  // WebKit looks no name up before it knows whether there is a proxy, for which it looks at the first one.
  "DNS prefetch": lookedUp((to) => {
    add("link", { rel: "dns-prefetch", href: "http://first.invalid" });
    setTimeout(() => add("link", { rel: "dns-prefetch", href: to }), 100);
  }),
  WebSocket: connected((to) => new WebSocket(to.replace("http", "ws"))),
  EventSource: connected((to) => new EventSource(to)),
  worker: connected((to) => new Worker(URL.createObjectURL(new Blob([`fetch("${to}", { mode: "no-cors" })`])))),
  WebRTC: perhapsNowhere(async (to) => {
    const urls = to.replace("http://", "turn:").replace(/\/.*/, "?transport=tcp");
    const peer = new RTCPeerConnection({ iceServers: [{ urls, username: "a", credential: "b" }] });
    peer.createDataChannel("data");
    await peer.setLocalDescription(await peer.createOffer());
  }),
  WebTransport: perhapsNowhere((to) => new WebTransport(to.replace("http", "https"))),
};
