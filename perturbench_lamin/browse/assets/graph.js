// The lineage graph: drawn by Cytoscape in Dagre's layers, steered by mouse, touch, buttons or keys.
(() => {
  "use strict";
  const holder = document.querySelector(".graph");
  const data = JSON.parse(document.querySelector(".graph-data").textContent);
  const canvas = holder.querySelector(".canvas");
  const room = holder.querySelector(".room");
  const all = holder.querySelector('[data-act="all"]');
  const status = holder.querySelector(".status");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  holder.hidden = false;

  // A light shade that is opaque, so that edges pass behind the text.
  function tint(strong, share = 0.17) {
    const parts = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    const paper = parts(colour("raised"));
    return `rgb(${parts(strong).map((part, i) => Math.round(share * part + (1 - share) * paper[i])).join(",")})`;
  }

  // Boxes are as large as their text, which is never drawn smaller than LEAST pixels when all of the graph is shown.
  const FONT = 12, LEAST = 11, MARGIN = 20;
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `${FONT}px system-ui, sans-serif`;
  const sized = (node) => {
    const lines = node.label.split("\n");
    return { ...node, width: Math.max(...lines.map((line) => pen.measureText(line).width)) * 1.06, height: lines.length * FONT * 1.2 };
  };

  // Nodes of one role whose neighbours are the same as one node: ten trainings of one split, and what came of each.
  function grouped() {
    const near = (id, from, to, cls) => [...new Set(data.edges.filter((edge) => edge[from] === id).map((edge) => edge.word + cls.get(edge[to])))].sort();
    let cls = new Map(data.nodes.map((node) => [node.id, node.id === data.centre ? "centre" : node.role]));
    for (let before = 0; new Set(cls.values()).size > before;) {
      before = new Set(cls.values()).size;
      const known = new Map();
      const sign = (node) => JSON.stringify([cls.get(node.id), near(node.id, "target", "source", cls), near(node.id, "source", "target", cls)]);
      cls = new Map(data.nodes.map((node) => [node.id, known.get(sign(node)) ?? known.set(sign(node), `${known.size}`).get(sign(node))]));
    }
    const members = collect(data.nodes, (node) => cls.get(node.id));
    const nodes = [...members.values()].map((own) => own.length === 1 ? own[0] : {
      ...own[0], label: `${own.length} ${own[0].many}`, word: "Several", bad: own.some((node) => node.bad), several: own.length, href: "",
    });
    const first = (id) => members.get(cls.get(id))[0].id;
    const edges = new Map(data.edges.map((edge) => ({ ...edge, source: first(edge.source), target: first(edge.target) })).map((edge) => [JSON.stringify(edge), edge]));
    return { nodes, edges: [...edges.values()] };
  }

  function collect(list, key) {
    const found = new Map();
    for (const one of list) found.set(key(one), [...(found.get(key(one)) ?? []), one]);
    return found;
  }

  const elements = ({ nodes, edges }) => [
    ...nodes.map((node) => ({ data: sized(node), classes: node.kind === "run" ? "run" : "artifact" })),
    ...edges.map((edge) => ({ data: { ...edge }, classes: edge.word === "made again" ? "again" : "" })),
  ];
  const cy = window.cytoscape({
    container: canvas, elements: elements(data), style: style(), layout: { name: "preset" }, minZoom: 0.05, maxZoom: 2.5,
    boxSelectionEnabled: false, autoungrabify: true, userZoomingEnabled: false, userPanningEnabled: false,
  });
  let centre = cy.getElementById(data.centre);
  let current = centre;
  let direction = "LR", whole = 1;
  window.lineageGraph = cy;

  function style() {
    const text = { color: colour("ink"), "font-size": FONT, "text-wrap": "wrap", "text-valign": "center", label: "data(label)" };
    return [
      { selector: "node", style: { ...text, width: "data(width)", height: "data(height)", padding: 9, "font-family": "system-ui, sans-serif" } },
      { selector: "node.artifact", style: { shape: "round-rectangle", "background-color": (node) => tint(colour(node.data("kind"))),
        "border-width": 1.5, "border-color": (node) => colour(node.data("kind")) } },
      { selector: "node.run", style: { shape: "rectangle", "background-color": colour("run"), "border-width": 1.5, "border-color": colour("run-line") } },
      { selector: "node[?bad]", style: { "border-color": colour("bad"), "border-style": "dashed", "border-width": 2.5 } },
      { selector: "edge", style: { width: 1.4, "line-color": colour("soft"), "target-arrow-color": colour("soft"), "target-arrow-shape": "triangle",
        "arrow-scale": 0.8, "curve-style": "bezier", opacity: 0.65 } },
      { selector: "edge.again", style: { "line-style": "dashed" } },
      { selector: "node[several]", style: { "border-style": "double", "border-width": 5 } },
      { selector: "node.centre", style: { "border-width": 3.5, "font-weight": 700 } },
      { selector: "node.current", style: { "underlay-color": colour("accent"), "underlay-opacity": 0.35, "underlay-padding": 7 } },
      { selector: "edge.near", style: { "line-color": colour("accent"), "target-arrow-color": colour("accent"), opacity: 1, width: 2 } },
    ];
  }

  // All of the graph where it can be read without scrolling, else with like nodes as one.
  function arrange() {
    const few = data.nodes.length > 120 || measured().seen < LEAST / FONT ? grouped() : data;
    all.hidden = few.nodes.length === data.nodes.length;
    draw(all.hidden ? data : few);
  }

  function draw(shown) {
    cy.elements().remove();
    cy.add(elements(shown));
    centre = cy.getElementById(data.centre).addClass("centre");
    current = centre;
    const best = measured();
    direction = best.rankDir;
    canvas.style.width = `${Math.max(room.clientWidth, Math.ceil(best.w * best.zoom) + 2 * MARGIN)}px`;
    canvas.style.height = `${Math.max(160, Math.ceil(best.h * best.zoom) + 2 * MARGIN)}px`;
    cy.resize();
    fit(best.zoom);
  }

  // From left to right or downwards: the layout in which more is seen at once, and its size.
  function measured() {
    const found = ["LR", "TB"].map((rankDir) => {
      place(rankDir);
      const { w, h } = cy.elements().boundingBox();
      const seen = Math.min(1.15, (room.clientWidth - 2 * MARGIN) / w, (0.8 * window.innerHeight - 2 * MARGIN) / h);
      return { rankDir, w, h, zoom: Math.max(seen, LEAST / FONT), seen };
    });
    const best = found[0].seen >= Math.min(LEAST / FONT, found[1].seen) ? found[0] : found[1];
    if (best.rankDir !== "TB") place(best.rankDir);
    return best;
  }

  function place(rankDir) {
    cy.layout({ name: "dagre", rankDir, nodeSep: 14, rankSep: 34, fit: false }).run();
  }

  function fit(zoom = whole) {
    whole = zoom;
    cy.userPanningEnabled(false);
    cy.zoom(zoom);
    cy.center();
    reveal(centre);
  }

  // Scrolls a graph that is wider than the page to a node.
  function reveal(node) {
    const { x } = node.renderedPosition();
    if (x < room.scrollLeft + MARGIN || x > room.scrollLeft + room.clientWidth - MARGIN) room.scrollLeft = x - room.clientWidth / 2;
  }

  function show(node) {
    cy.elements().removeClass("current near");
    node.addClass("current").connectedEdges().addClass("near");
    status.textContent = `${node.data("word")}: ${node.data("label").replaceAll("\n", "")}`;
  }

  function move(node) {
    if (!node?.length) return;
    current = node;
    show(node);
    const box = cy.extent();
    const { x, y } = node.position();
    if (x < box.x1 || x > box.x2 || y < box.y1 || y > box.y2) cy.center(node);
    reveal(node);
  }

  // Before and after follow the edges; above and below go to the nearest node in the same layer.
  function beside(sign) {
    const down = direction === "TB" ? "x" : "y";
    const along = down === "x" ? "y" : "x";
    const here = current.position();
    const others = cy.nodes().filter((node) => Math.abs(node.position(along) - here[along]) < 60 && sign * (node.position(down) - here[down]) > 1);
    return others.sort((a, b) => sign * (a.position(down) - b.position(down)))[0];
  }

  const open = (node) => { if (node.data("several")) acts.all(); else location.href = node.data("href"); };
  const zoom = (factor) => cy.userPanningEnabled(true).zoom({ level: cy.zoom() * factor, renderedPosition: { x: canvas.clientWidth / 2, y: canvas.clientHeight / 2 } });
  const acts = { in: () => zoom(1.3), out: () => zoom(1 / 1.3), fit: () => fit(), all: () => { draw(data); all.hidden = true; } };
  const back = () => move(current.incomers("node").first());
  const forth = () => move(current.outgoers("node").first());
  const keys = {
    ArrowLeft: back, ArrowRight: forth, ArrowUp: () => move(beside(-1)), ArrowDown: () => move(beside(1)),
    Enter: () => open(current), "+": acts.in, "=": acts.in, "-": acts.out, 0: acts.fit,
  };

  document.querySelector("details.steps").open = false;
  arrange();
  const paper = holder.appendChild(document.createElement("img"));
  paper.className = "paper";
  paper.alt = "Lineage graph";
  paper.src = cy.png({ full: true, scale: 2, bg: colour("paper") });
  cy.on("tap", "node", (event) => open(event.target));
  cy.on("mouseover", "node", (event) => { show(event.target); canvas.style.cursor = "pointer"; });
  cy.on("mouseout", "node", () => { canvas.style.cursor = ""; });
  holder.querySelector(".tools").addEventListener("click", (event) => acts[event.target.dataset.act]?.());
  canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && show(current));
  canvas.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => cy.style(style()));
  let width = room.clientWidth;
  window.addEventListener("resize", () => {
    if (room.clientWidth && room.clientWidth !== width) draw(cy.nodes("[several]").length ? grouped() : data);
    width = room.clientWidth || width;
  });
})();
