#include "capability/inventory.h"

#include <gtest/gtest.h>

#include "capability/capability_testing.h"

namespace netmesh::capability {
namespace {

Inventory full() {
  Inventory all;
  all.hardware = {16, 32, 64, Gpu{GpuVendor::kNvidia, "h100", 80, 132, 528, 19790}, 2000, 25};
  all.software = {"linux", "6.1", {{"node", "20.1"}}, {{"torch", "2.1"}}, {{"nvidia", "550"}},
                  "12.4"};
  Model model;
  model.id = "llama";
  model.family = "llama";
  model.parameters_b_x10 = 700;
  model.context_length = 128'000;
  model.quantization = "q4";
  model.modalities = {Modality::kText, Modality::kToolUse};
  model.tokens_per_sec = 40;
  model.loaded = true;
  all.models = {model, Model{.id = "b", .family = "", .quantization = {}, .modalities = {}}};
  Tool tool;
  tool.id = "search";
  tool.name = "Search";
  tool.version = "2.0.0";
  tool.input_schema = "{}";
  tool.requires_ = {"web", "disk"};
  tool.estimated_time_ms = 5;
  tool.stateless = false;
  all.tools = {tool};
  all.limits = {1, 2, 3, 4, 5, 6};
  return all;
}

CapabilitySet encode(const Inventory& all) {
  CapabilitySet set;
  set_hardware(set, all.hardware);
  set_software(set, all.software);
  set_models(set, all.models);
  set_tools(set, all.tools);
  set_limits(set, all.limits);
  return set;
}

TEST(Inventory, IsEncodedInTheTagsOfTheSpecification) {
  const CapabilitySet set = encode(full());
  for (const auto* tag : {"hardware.cpu_cores=16",
                          "hardware.cpu_threads=32",
                          "hardware.memory_gb=64",
                          "hardware.gpu",
                          "hardware.gpu.vendor=nvidia",
                          "hardware.gpu.model=h100",
                          "hardware.gpu.vram_gb=80",
                          "hardware.gpu.compute_units=132",
                          "hardware.gpu.tensor_cores=528",
                          "hardware.gpu.fp16_tflops_x10=19790",
                          "hardware.storage_gb=2000",
                          "hardware.network_gbps=25",
                          "software.os=linux",
                          "software.os_version=6.1",
                          "software.runtime.node=20.1",
                          "software.framework.torch=2.1",
                          "software.driver.nvidia=550",
                          "software.cuda_version=12.4",
                          "software.model.0.id=llama",
                          "software.model.0.family=llama",
                          "software.model.0.parameters_b_x10=700",
                          "software.model.0.context_length=128000",
                          "software.model.0.tokens_per_sec=40",
                          "software.model.0.quantization=q4",
                          "software.model.0.modalities=text,tool_use",
                          "software.model.0.loaded=true",
                          "software.model.1.id=b",
                          "software.tool.0.tool_id=search",
                          "software.tool.0.name=Search",
                          "software.tool.0.version=2.0.0",
                          "software.tool.0.requires=web,disk",
                          "software.tool.0.estimated_time_ms=5",
                          "software.tool.0.stateless=false",
                          "hardware.limits.max_concurrent_requests=1",
                          "hardware.limits.max_tokens_per_request=2",
                          "hardware.limits.rate_limit_rpm=3",
                          "hardware.limits.max_batch_size=4",
                          "hardware.limits.max_input_bytes=5",
                          "hardware.limits.max_output_bytes=6"})
    EXPECT_TRUE(set.tags.contains(tag)) << tag;
  EXPECT_EQ(set.tags.size(), 39u);
  EXPECT_EQ(set.metadata, (Metadata{{"tool::search::input_schema", "{}"}}));
}

TEST(Inventory, ComesBackFromItsTags) { EXPECT_EQ(read_inventory(encode(full())), full()); }

TEST(Inventory, SaysNothingAboutWhatIsNotThere) {
  EXPECT_TRUE(encode(Inventory()).tags.empty());
  EXPECT_EQ(read_inventory(CapabilitySet()), Inventory());
}

TEST(Inventory, LeavesOutNamesThatCannotBeTold) {
  CapabilitySet set;
  set_software(
      set, {"", "", {{"", "1"}, {"a=b", "1"}, {"a:b", "1"}, {"a.b", "1"}, {"ok", ""}}, {}, {}, ""});
  EXPECT_EQ(set.tags, (TagSet{"software.cuda_version=", "software.runtime.ok="}));
}

TEST(Inventory, ReplacesOnlyItsOwnTags) {
  CapabilitySet set = encode(full());
  set.add_tag("mine");
  set_hardware(set, {});
  EXPECT_EQ(read_inventory(set).limits, full().limits);
  EXPECT_FALSE(set.tags.contains("hardware.gpu"));
  set_software(set, {});
  EXPECT_EQ(read_inventory(set).models, full().models);
  EXPECT_EQ(read_inventory(set).tools, full().tools);
  set_tools(set, {});
  EXPECT_TRUE(set.metadata.empty());
  set_models(set, {});
  set_limits(set, {});
  EXPECT_EQ(set.tags, TagSet{"mine"});
}

TEST(Inventory, ReadsStrangeTagsLeniently) {
  const Inventory all = read_inventory(testing::set_of(
      {"hardware.memory_gb=-1", "hardware.cpu_cores=70000", "hardware.gpu.vendor=acme",
       "software.model.07.id=x", "software.model.x.id=y", "software.model.4294967296.id=z",
       "software.model.2.modalities=smell,audio", "software.tool.3.tool_id=t",
       "hardware.future=1"}));
  EXPECT_EQ(all.hardware.memory_gb, 0u);
  EXPECT_EQ(all.hardware.cpu_cores, 0u);
  ASSERT_TRUE(all.hardware.gpu) << "any tag below hardware.gpu makes one";
  EXPECT_EQ(all.hardware.gpu->vendor, GpuVendor::kUnknown);
  ASSERT_EQ(all.models.size(), 2u);
  EXPECT_EQ(all.models[0].modalities, (std::vector{Modality::kText, Modality::kAudio}));
  EXPECT_EQ(all.models[1].id, "x") << "records are in the order of their indices";
  ASSERT_EQ(all.tools.size(), 1u);
  EXPECT_EQ(all.tools[0].version, "1.0.0");
  EXPECT_TRUE(all.tools[0].stateless);
}

TEST(Inventory, KnowsItsWordsInEveryCase) {
  EXPECT_EQ(parse_gpu_vendor("NVIDIA"), GpuVendor::kNvidia);
  EXPECT_EQ(parse_gpu_vendor("3dfx"), GpuVendor::kUnknown);
  for (const auto* word : {"tool-use", "tool_use", "ToolUse"})
    EXPECT_EQ(parse_modality(word), Modality::kToolUse);
  EXPECT_EQ(parse_modality("smell"), Modality::kText);
}

TEST(Description, HasEveryTagOnceMoreWhenItIsMadeIntoTagsAgain) {
  testing::Random random(3);
  const std::vector<std::string> tags{"hardware.gpu.vram_gb=80",
                                      "hardware.memory_gb:64",
                                      "hardware.memory_gb=0",
                                      "hardware.cpu_cores=8",
                                      "hardware.limits.max_batch_size=9",
                                      "hardware.limits.odd=1",
                                      "software.model.5.id=m",
                                      "software.model.0.modalities=image",
                                      "software.tool.1.name=n",
                                      "software.runtime.a.b=1",
                                      "software.runtime.node=20",
                                      "scope:tenant:x",
                                      "gpu"};
  for (int round = 0; round < 500; ++round) {
    CapabilitySet set;
    for (std::uint64_t n = random.below(8); n > 0; --n) set.add_tag(random.pick(tags));
    set.metadata["tool::t::input_schema"] = "{}";
    const Description described = describe(set);
    EXPECT_EQ(described.metadata, set.metadata) << "no tool t is announced";

    // In the order in which fields are announced: limits last, and only where there are any.
    CapabilitySet again;
    set_hardware(again, described.inventory.hardware);
    set_software(again, described.inventory.software);
    std::vector<Model> models = described.inventory.models;
    for (Model& model : models) model.modalities.insert(model.modalities.begin(), Modality::kText);
    set_models(again, models);
    set_tools(again, described.inventory.tools);
    for (const std::string& tag : described.tags) again.add_tag(tag);
    if (described.inventory.limits != Limits{}) set_limits(again, described.inventory.limits);
    for (const std::string& tag : set.tags) EXPECT_TRUE(again.tags.contains(tag)) << tag;
  }
}

}  // namespace
}  // namespace netmesh::capability
