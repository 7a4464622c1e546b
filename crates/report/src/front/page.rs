//! A front as one self-contained HTML page: the networks as a table, and one picture per cost.

use da2s_records::counted;
use da2s_records::schema::{Front, FrontCost, LatencySource};
use da2s_settings::Quantity;
use maud::{Markup, html};

use super::{front_csv, label};
use crate::data_link::CsvTable;
use crate::number::{count, magnitude, percent, significant};
use crate::page::{Document, script, theme_button};
use crate::svg::scatter::{Dot, Scatter};

/// The page of a front. It depends only on the front.
pub(crate) fn front_page(front: &Front) -> String {
    let on = front.points.iter().filter(|point| point.on_front.overall).count();
    let body = html! {
        a.skip href="#main" { "Skip to the front" }
        header.top {
            div {
                h1 { "Several networks from one search" }
                p.facts {
                    @if let Some(dataset) = &front.dataset { span { (dataset) } }
                    @if let Some(seed) = front.seed { span { "seed " (seed) } }
                    span { (counted(front.points.len(), "network")) }
                    span { (counted(front.epochs as usize, "epoch")) " each" }
                }
            }
            (theme_button())
        }
        main id="main" {
            section.first aria-labelledby="front-title" {
                h2 id="front-title" { "The front" }
                p.lead {
                    b { (on) " of " (counted(front.points.len(), "network")) }
                    " are on the front: no other network here is at least as good in accuracy and in every cost, and better in at least one of them."
                }
                (table(front))
                @for note in notes(front) { p.note { (note) } }
            }
            @if let Some(pictures) = pictures(front) {
                section aria-labelledby="pictures-title" {
                    h2 id="pictures-title" { "Accuracy against what it costs" }
                    (pictures)
                }
            }
        }
        footer { "Written by da2s " (env!("CARGO_PKG_VERSION")) "." }
        (script())
    };
    let name = front.dataset.as_deref().unwrap_or("a search");
    Document {
        title: format!("Networks of {name} · da2s front"),
        style: concat!(include_str!("../comparison/comparison.css"), include_str!("front.css")),
        body,
    }
    .render()
}

fn notes(front: &Front) -> Vec<String> {
    let mut notes = vec![
        "Intervals are Wilson’s 95 % intervals over the test images: networks whose intervals overlap may be in another order on other images, or with another seed."
            .to_owned(),
        format!("The front counts size and peak memory in {}.", front.precision),
    ];
    notes.extend(front.about_chance().map(|about| format!("Networks {about}.")));
    notes.extend(front.latency.as_ref().map(source));
    notes
}

/// Where the latencies are from.
fn source(latency: &LatencySource) -> String {
    let LatencySource {
        measured,
        threads,
        engine,
        machine,
    } = latency;
    let how = if *measured {
        "Latencies of one image were measured after the training"
    } else {
        "Latencies of one image are sums over a table of measured blocks"
    };
    let threads = threads.map(|threads| counted(threads, "thread"));
    let known = [threads, engine.clone(), machine.clone()].into_iter().flatten();
    let known: Vec<String> = known.collect();
    if known.is_empty() {
        return format!("{how}.");
    }
    format!("{how}: {}.", known.join(", "))
}

fn table(front: &Front) -> Markup {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let bytes = |bytes: Option<u64>| or_dash(bytes.map(|bytes| Quantity::Bytes.text(bytes as f64)));
    let layers = front.points.iter().any(|point| point.cells.is_none());
    let structure = if layers { "layers of the stages" } else { "cells" };
    let caption = "The networks, the cheapest first";
    let data = CsvTable::of(front_csv(front));
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table.wide.front {
                caption { (caption) }
                thead { tr {
                    th scope="col" { "network" }
                    th.n scope="col" { "accuracy" } th.n scope="col" { "95 % interval" }
                    th scope="col" { "on the front of" }
                    th.n scope="col" { "width" } th.n scope="col" { "channels" } th.n scope="col" { (structure) }
                    th.n scope="col" { "multiply-adds" } th.n scope="col" { "parameters" }
                    th.n scope="col" { "size" } th.n scope="col" { "in int8" }
                    th.n scope="col" { "peak memory" } th.n scope="col" { "in int8" }
                    th.n scope="col" { "latency" }
                } }
                tbody {
                    @for point in &front.points {
                        @let device = &point.trained.on_device;
                        tr.beaten[!point.on_front.overall] {
                            th scope="row" { (point.name) }
                            td.n { (or_dash(point.trained.accuracy.map(percent))) }
                            td.n { (or_dash(point.trained.accuracy_interval.map(|[from, to]| format!("{from:.2}–{to:.2} %")))) }
                            td { (front.fronts_of(point)) }
                            td.n { (significant(point.width, 3)) "×" }
                            td.n { (point.channels) }
                            td.n { (point.cells_text()) }
                            td.n { (or_dash(point.trained.multiply_adds.map(magnitude))) }
                            td.n { (or_dash(point.trained.parameters.map(count))) }
                            td.n { (bytes(device.size_bytes)) } td.n { (bytes(device.size_int8_bytes)) }
                            td.n { (bytes(device.ram_bytes)) } td.n { (bytes(device.ram_int8_bytes)) }
                            td.n { (or_dash(device.latency_ms.map(|ms| Quantity::Milliseconds.text(ms)))) }
                        }
                    }
                }
            }
        }
        p.source { (data.link("front", caption)) }
    }
}

fn pictures(front: &Front) -> Option<Markup> {
    // Latency first: it is what people ask for most.
    let costs = front.costs().into_iter().rev();
    let figures: Vec<Markup> = costs.filter_map(|cost| figure(front, cost)).collect();
    (!figures.is_empty()).then(|| {
        html! {
            p.lead {
                "Filled dots are on the front of their picture. The stepped line shows the best accuracy that each cost allows. Bars are 95 % intervals. Axes begin where the values do, not at zero. If costs differ by a factor of 10 or more, their axis is logarithmic. A name without room is in the tooltip of its dot."
            }
            div.grid { @for figure in &figures { (figure) } }
        }
    })
}

fn figure(front: &Front, cost: FrontCost) -> Option<Markup> {
    let dots: Vec<Dot> = front
        .points
        .iter()
        .filter_map(|point| {
            Some(Dot {
                label: label(front, point),
                x: cost.of(point, &front.precision)?,
                y: point.trained.accuracy?,
                interval: point.trained.accuracy_interval,
                filled: cost.flag(&point.on_front),
            })
        })
        .collect();
    let (unit, scale) = unit(cost, dots.iter().map(|dot| dot.x).fold(0.0, f64::max));
    let title = match cost {
        FrontCost::Size | FrontCost::Ram => format!("Accuracy and {} in {}", cost.name(), front.precision),
        FrontCost::MultiplyAdds | FrontCost::Latency => format!("Accuracy and {}", cost.name()),
    };
    let scatter = Scatter {
        title: &title,
        axis: unit,
        scale,
        dots: &dots,
    };
    let picture = scatter.draw()?;
    let mut data = CsvTable::new(["network", cost.name(), "accuracy"]);
    for dot in &dots {
        data.row([dot.label.clone(), dot.x.to_string(), dot.y.to_string()]);
    }
    Some(html! {
        figure {
            h3 { (title) }
            (picture)
            figcaption { (data.link(&format!("front-{}", cost.name().replace(' ', "-")), &title)) }
        }
    })
}

/// The label of an axis up to `most`, and what its numbers are divided by.
fn unit(cost: FrontCost, most: f64) -> (&'static str, f64) {
    match cost {
        FrontCost::Latency => ("ms for one image", 1.0),
        FrontCost::MultiplyAdds if most >= 1e9 => ("billion multiply-adds", 1e9),
        FrontCost::MultiplyAdds if most >= 1e6 => ("million multiply-adds", 1e6),
        FrontCost::MultiplyAdds if most >= 1e3 => ("thousand multiply-adds", 1e3),
        FrontCost::MultiplyAdds => ("multiply-adds", 1.0),
        FrontCost::Size | FrontCost::Ram if most >= 1e6 => ("MB", 1e6),
        FrontCost::Size | FrontCost::Ram if most >= 1e3 => ("KB", 1e3),
        FrontCost::Size | FrontCost::Ram => ("bytes", 1.0),
    }
}

#[cfg(test)]
mod tests {
    use da2s_records::schema::{DeviceCost, FrontPoint, TrainedNetwork};

    use super::*;

    fn front() -> Front {
        let point = |channels: u64, accuracy: f64| FrontPoint {
            name: format!("c{channels}-n{}-e30", if channels == 24 { 8 } else { 5 }),
            width: channels as f64 / 16.0,
            channels,
            cells: Some(if channels == 24 { 8 } else { 5 }),
            trained: TrainedNetwork {
                accuracy: Some(accuracy),
                accuracy_interval: Some([accuracy - 2.0, accuracy + 1.5]),
                parameters: Some(400 * channels),
                multiply_adds: Some(90_000 * channels),
                on_device: DeviceCost {
                    size_bytes: Some(1_600 * channels),
                    size_int8_bytes: Some(500 * channels),
                    ram_bytes: Some(8_000 * channels),
                    ram_int8_bytes: Some(2_000 * channels),
                    latency_ms: None,
                },
                ..TrainedNetwork::default()
            },
            ..FrontPoint::default()
        };
        let mut front = Front {
            dataset: Some("<digits>".to_owned()),
            seed: Some(1),
            epochs: 30,
            precision: "int8".to_owned(),
            points: vec![point(8, 91.5), point(12, 91.25), point(24, 93.0)],
            ..Front::default()
        };
        front.mark();
        front
    }

    #[test]
    fn a_page_has_a_row_per_network_and_a_picture_per_cost() {
        let page = front_page(&front());
        let document = scraper::Html::parse_document(&page);
        let texts = |selector: &str| -> Vec<String> {
            let selector = scraper::Selector::parse(selector).unwrap();
            let found = document.select(&selector);
            found.map(|element| element.text().collect::<String>()).collect()
        };
        assert_eq!(texts("tbody th"), ["c8-n5-e30", "c12-n5-e30", "c24-n8-e30"]);
        assert_eq!(texts("tbody td:nth-child(4)"), ["all", "–", "all"]);
        assert_eq!(texts("tr.beaten th"), ["c12-n5-e30"]);
        // There is no latency.
        let titles = [
            "Accuracy and peak memory in int8",
            "Accuracy and size in int8",
            "Accuracy and multiply-adds",
        ];
        assert_eq!(texts("figure h3"), titles);
        assert_eq!(texts("svg.scatter text.name").len(), 9);
        assert!(page.contains("2 of 3 networks") && page.contains("&lt;digits&gt;") && !page.contains("<digits>"));
        assert!(!page.contains("http://") && !page.contains("https://"));
    }

    #[test]
    fn networks_at_chance_are_marked() {
        let mut front = front();
        front.chance = Some(90.0);
        front.mark();
        let page = front_page(&front);
        assert_eq!(page.matches("<td>at chance</td>").count(), 2);
        assert!(page.contains("1 of 3 networks"), "{page}");
        assert!(page.contains("Networks at chance are on no front: "), "{page}");
        assert_eq!(front_csv(&front).matches(",1,0,0,0,0,0\n").count(), 2);
    }

    #[test]
    fn latencies_say_where_they_are_from() {
        let mut latency = LatencySource {
            measured: true,
            ..LatencySource::default()
        };
        assert_eq!(
            source(&latency),
            "Latencies of one image were measured after the training."
        );
        latency.threads = Some(1);
        latency.machine = Some("a board".to_owned());
        assert!(source(&latency).ends_with(": 1 thread, a board."));
        latency.measured = false;
        assert!(source(&latency).contains("sums over a table"));
    }

    #[test]
    fn csv_has_every_number() {
        let csv = front_csv(&front());
        let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
        assert!(rows.len() == 4 && rows.iter().all(|row| row.len() == rows[0].len()));
        assert_eq!(rows[1][..6], ["c8-n5-e30", "", "", "0.5", "8", "5"]);
        assert_eq!(rows[2][rows[2].len() - 6..], ["0"; 6]);
    }
}
