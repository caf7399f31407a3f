// The lineage graph: drawn by Cytoscape in Dagre's layers, steered by mouse, touch, buttons or keys.
(() => {
  "use strict";
  const holder = document.querySelector(".graph");
  const data = JSON.parse(document.querySelector(".graph-data").textContent);
  const canvas = holder.querySelector(".canvas");
  const status = holder.querySelector(".status");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  holder.hidden = false;

  // A light shade that is opaque, so that edges pass behind the text.
  function tint(strong, share = 0.17) {
    const parts = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    const paper = parts(colour("raised"));
    return `rgb(${parts(strong).map((part, i) => Math.round(share * part + (1 - share) * paper[i])).join(",")})`;
  }

  // Boxes are as large as their text.
  const FONT = 11;
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `${FONT}px system-ui, sans-serif`;
  const sized = (node) => {
    const lines = node.label.split("\n");
    return { ...node, width: Math.max(...lines.map((line) => pen.measureText(line).width)) * 1.06, height: lines.length * FONT * 1.2 };
  };

  const elements = [
    ...data.nodes.map((node) => ({ data: sized(node), classes: node.kind === "run" ? "run" : "artifact" })),
    ...data.edges.map((edge) => ({ data: edge, classes: edge.word === "made again" ? "again" : "" })),
  ];
  const cy = window.cytoscape({
    container: canvas, elements, style: style(), layout: layout(), minZoom: 0.05, maxZoom: 2.5,
    boxSelectionEnabled: false, autoungrabify: true,
  });
  const centre = cy.getElementById(data.centre);
  let current = centre;
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
      { selector: "node.centre", style: { "border-width": 3.5, "font-weight": 700 } },
      { selector: "node.current", style: { "underlay-color": colour("accent"), "underlay-opacity": 0.35, "underlay-padding": 7 } },
      { selector: "edge.near", style: { "line-color": colour("accent"), "target-arrow-color": colour("accent"), opacity: 1, width: 2 } },
    ];
  }

  function layout() {
    const narrow = canvas.clientWidth < 600;
    return { name: "dagre", rankDir: narrow ? "TB" : "LR", nodeSep: 16, rankSep: narrow ? 40 : 60, padding: 24, fit: true };
  }

  // A graph that would be too small to read is shown around the node that the page is about, without empty margins.
  function fit(whole) {
    cy.fit(undefined, 24);
    if (cy.zoom() > 1.15) cy.zoom(1.15);
    if (whole || cy.zoom() >= 0.6) return cy.center();
    cy.zoom(0.85);
    cy.center(centre);
    const box = cy.elements().renderedBoundingBox();
    cy.panBy({ x: inward(box.x1, box.x2, canvas.clientWidth), y: inward(box.y1, box.y2, canvas.clientHeight) });
  }

  // How far to move so that what is seen does not end before the graph does.
  function inward(start, end, room, margin = 24) {
    if (end - start < room - 2 * margin) return (room - start - end) / 2;
    if (start > margin) return margin - start;
    return end < room - margin ? room - margin - end : 0;
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
  }

  // Before and after follow the edges; above and below go to the nearest node in the same layer.
  function beside(sign) {
    const down = layout().rankDir === "TB" ? "x" : "y";
    const along = down === "x" ? "y" : "x";
    const here = current.position();
    const others = cy.nodes().filter((node) => Math.abs(node.position(along) - here[along]) < 60 && sign * (node.position(down) - here[down]) > 1);
    return others.sort((a, b) => sign * (a.position(down) - b.position(down)))[0];
  }

  const open = (node) => { location.href = node.data("href"); };
  const zoom = (factor) => cy.zoom({ level: cy.zoom() * factor, renderedPosition: { x: canvas.clientWidth / 2, y: canvas.clientHeight / 2 } });
  const acts = { in: () => zoom(1.3), out: () => zoom(1 / 1.3), fit: () => fit(true) };
  const back = () => move(current.incomers("node").first());
  const forth = () => move(current.outgoers("node").first());
  const keys = {
    ArrowLeft: back, ArrowRight: forth, ArrowUp: () => move(beside(-1)), ArrowDown: () => move(beside(1)),
    Enter: () => open(current), "+": acts.in, "=": acts.in, "-": acts.out, 0: acts.fit,
  };

  document.querySelector("details.steps").open = false;
  centre.addClass("centre");
  fit(false);
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
})();
