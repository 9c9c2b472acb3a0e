#include "sim/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>

namespace netmesh::sim {
namespace {

constexpr double kWidth = 1000, kPanelHeight = 220, kLeft = 80, kRight = 20, kTop = 70, kGap = 60;
/// More points than pixels only make the file larger.
constexpr std::size_t kMostPoints = 900;
/// Delivery is averaged over at least this long.
constexpr Duration kRateInterval = std::chrono::milliseconds(200);
constexpr std::array kColours{"#1f77b4", "#d62728", "#2ca02c", "#9467bd",
                              "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f"};

double seconds_of(Duration duration) { return static_cast<double>(duration.count()) * 1e-9; }

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// A round step that divides `range` into about six.
double tick_step(double range) {
  const double rough = range / 6;
  const double magnitude = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (rough <= factor * magnitude) return factor * magnitude;
  }
  return 10 * magnitude;
}

struct Point {
  double x, y;
};
struct Line {
  std::vector<Point> points;
  std::string colour;
  bool dashed = false;
};

class Svg {
 public:
  Svg(double begin, double end) : begin_(begin), end_(std::max(end, begin + 1e-3)) {}

  void text(double x, double y, const std::string& what, const char* anchor = "start",
            const char* more = "") {
    out_ += "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor +
            "\" " + more + ">" + escaped(what) + "</text>\n";
  }
  void stroke(double x1, double y1, double x2, double y2, const std::string& colour,
              const char* more = "") {
    out_ += "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) +
            "\" y2=\"" + number(y2) + "\" stroke=\"" + colour + "\" " + more + "/>\n";
  }

  /// Axes with ticks and units, then the lines; `marks` are instants on the x axis.
  void panel(double top, const std::string& unit, const std::vector<Line>& lines,
             const std::vector<Line>& marks = {}) {
    double most = 0;
    for (const Line& line : lines) {
      for (const Point& point : line.points) most = std::max(most, point.y);
    }
    if (most <= 0) most = 1;
    most *= 1.05;
    const double bottom = top + kPanelHeight;
    const auto y_of = [&](double value) { return bottom - value / most * kPanelHeight; };
    for (double value = 0; value <= most; value += tick_step(most)) {
      stroke(kLeft, y_of(value), kWidth - kRight, y_of(value), "#e4e4e4");
      text(kLeft - 6, y_of(value) + 4, number(value), "end");
    }
    const double step = tick_step(end_ - begin_);
    for (double at = std::ceil(begin_ / step) * step; at <= end_; at += step) {
      stroke(x_of(at), bottom, x_of(at), bottom + 4, "#444");
      text(x_of(at), bottom + 18, number(at), "middle");
    }
    text(kWidth - kRight, bottom + 34, "time, s", "end");
    text(kLeft, top - 8, unit);
    stroke(kLeft, bottom, kWidth - kRight, bottom, "#444");
    stroke(kLeft, top, kLeft, bottom, "#444");
    for (const Line& line : lines) {
      if (line.points.empty()) continue;
      out_ += "<polyline fill=\"none\" stroke=\"" + line.colour + "\" stroke-width=\"1.3\"";
      if (line.dashed) out_ += " stroke-dasharray=\"3 3\" stroke-opacity=\"0.7\"";
      out_ += " points=\"";
      for (const Point& point : line.points) {
        char pair[48];
        std::snprintf(pair, sizeof pair, "%.1f,%.1f ", x_of(point.x), y_of(point.y));
        out_ += pair;
      }
      out_ += "\"/>\n";
    }
    for (const Line& line : marks) {
      for (const Point& point : line.points)
        stroke(x_of(point.x), bottom, x_of(point.x), bottom - 6, line.colour);
    }
  }

  std::string finish(double height) const {
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(kWidth) + " " +
           number(height) + "\" font-family=\"sans-serif\" font-size=\"12\">\n" +
           "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n" + out_ + "</svg>\n";
  }

 private:
  double x_of(double at) const {
    return kLeft + (at - begin_) / (end_ - begin_) * (kWidth - kLeft - kRight);
  }

  double begin_, end_;
  std::string out_;
};

}  // namespace

std::string render_plot(const std::string& title, const std::vector<PathSample>& samples) {
  std::map<std::string, std::vector<const PathSample*>> paths;
  double begin = 0;
  double end = 1;
  for (const PathSample& sample : samples) {
    paths[sample.path].push_back(&sample);
    end = std::max(end, seconds_of(sample.at));
  }
  // Paths that only acknowledged would hide the others.
  std::uint64_t most_delivered = 0;
  for (const auto& [path, list] : paths)
    most_delivered = std::max(most_delivered, list.back()->delivered);
  std::erase_if(paths, [&](const auto& entry) {
    return entry.second.back()->delivered < most_delivered / 100;
  });

  std::vector<Line> windows, rates, round_trips, losses;
  std::vector<std::string> names;
  for (const auto& [path, list] : paths) {
    const std::string colour = kColours[names.size() % kColours.size()];
    names.push_back(path);
    Line window{{}, colour}, in_flight{{}, colour, true}, rate{{}, colour}, rtt{{}, colour},
        loss{{}, colour};
    const std::size_t stride = std::max<std::size_t>(1, list.size() / kMostPoints);
    const PathSample* before = list.front();
    std::uint64_t lost = list.front()->lost;
    for (std::size_t i = 0; i < list.size(); i += stride) {
      const PathSample& sample = *list[i];
      const double at = seconds_of(sample.at);
      window.points.push_back({at, static_cast<double>(sample.window) / 1000});
      in_flight.points.push_back({at, static_cast<double>(sample.in_flight) / 1000});
      rtt.points.push_back({at, seconds_of(sample.rtt) * 1000});
      if (sample.lost > lost) loss.points.push_back({at, 0});
      lost = sample.lost;
      if (sample.at - before->at < kRateInterval) continue;
      const double bits = sample.delivered < before->delivered
                              ? 0  // a new session
                              : 8 * static_cast<double>(sample.delivered - before->delivered);
      rate.points.push_back({at, bits / seconds_of(sample.at - before->at) * 1e-6});
      before = &sample;
    }
    windows.push_back(std::move(window));
    windows.push_back(std::move(in_flight));
    rates.push_back(std::move(rate));
    round_trips.push_back(std::move(rtt));
    losses.push_back(std::move(loss));
  }

  Svg svg(begin, end);
  svg.text(kLeft, 22, title, "start", "font-size=\"16\"");
  double x = kLeft;
  for (std::size_t i = 0; i < names.size(); ++i) {
    svg.stroke(x, 38, x + 24, 38, kColours[i % kColours.size()], "stroke-width=\"2\"");
    svg.text(x + 30, 42, names[i]);
    x += 50 + 8 * static_cast<double>(names[i].size());
  }
  double top = kTop + 10;
  svg.panel(
      top,
      "congestion window (solid) and bytes in flight (dashed), kB; marks on the axis: packets "
      "lost",
      windows, losses);
  top += kPanelHeight + kGap;
  svg.panel(top, "delivery, Mbit/s", rates);
  top += kPanelHeight + kGap;
  svg.panel(top, "smoothed round-trip time, ms", round_trips);
  return svg.finish(top + kPanelHeight + kGap);
}

bool write_plot(const std::string& file, const std::string& title,
                const std::vector<PathSample>& samples) {
  std::FILE* out = std::fopen(file.c_str(), "w");
  if (out == nullptr) return false;
  const std::string text = render_plot(title, samples);
  const bool written = std::fwrite(text.data(), 1, text.size(), out) == text.size();
  return std::fclose(out) == 0 && written;
}

}  // namespace netmesh::sim
