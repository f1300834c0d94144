#include "penalties_case.hpp"

namespace taut_test {

PenaltiesCase read_penalties_case(Reader& reader) {
  constexpr Task kTasks[] = {Task::kAccumulate, Task::kOverwrite, Task::kValue, Task::kProx};
  PenaltiesCase read{};
  read.setting = read_setting(reader);
  read.task = reader.pick(kTasks);
  read.scale = reader.flag() ? read_factor(reader) : 1;
  if (read.task != Task::kProx && reader.rarely(4)) read.scale = -read.scale;
  read.is_batch = reader.flag();
  read.has_workspace = reader.flag();
  const std::size_t count = read.is_batch ? reader.below(4) : 1;
  for (std::size_t i = 0; i < count; ++i) {
    const taut::Regularizer regularizer = read_regularizer(reader);
    const Shape shape = read_shape(reader, count == 1 && is_elementwise(regularizer));
    const taut::DType dtype = read_dtype(reader);
    const auto array_like_x = [&] {
      const taut::DType wide = taut::DType::kFloat32;
      const taut::DType own = reader.rarely(3)    ? wide
                              : reader.rarely(16) ? read_dtype(reader)
                                                  : dtype;
      const bool is_other = reader.rarely(16);
      return read_array(reader, own, is_other ? read_shape(reader, false) : shape, read.blocks);
    };
    Term term{regularizer, read_array(reader, dtype, shape, read.blocks), {}, {}, {}};
    if (i > 0 && reader.rarely(4)) term.x = read.terms[reader.below(i)].x;  // tied
    if (read.task == Task::kAccumulate || read.task == Task::kOverwrite) {
      term.gradient = array_like_x();
    }
    if (read.is_batch && reader.rarely(3)) term.reference = array_like_x();
    if (read.is_batch && reader.rarely(3)) term.importance = array_like_x();
    read.terms.push_back(term);
  }
  if (read.is_batch && read.task != Task::kProx && reader.flag()) {
    read.values = reader.rarely(16) ? 1 : count;
  }
  return read;
}

std::string statements_of(const PenaltiesCase& of) {
  std::string text;
  for (std::size_t i = 0; i < of.blocks.size(); ++i) text += text_of(of.blocks[i], i);
  std::string terms;
  for (std::size_t i = 0; i < of.terms.size(); ++i) {
    const Term& term = of.terms[i];
    const std::string number = "_" + std::to_string(i);
    text += term.x.text("x" + number);
    terms += "      {" + text_of(term.regularizer) + ", x" + number;
    if (term.gradient) {
      text += term.gradient->text("gradient" + number);
      terms += ", gradient" + number;
    }
    for (const auto& [side, name] :
         {std::pair(&term.reference, "reference"), std::pair(&term.importance, "importance")}) {
      if (*side) text += (*side)->text(name + number);
      terms += *side ? std::string(", ") + name + number : ", std::nullopt";
    }
    terms += "},\n";
  }
  text += of.setting.text();
  constexpr const char* kNames[] = {"value", "accumulate_grad", "value_and_grad", "prox"};
  constexpr const char* kTerms[] = {"Term", "GradientTerm", "GradientTerm", "ProxTerm"};
  const auto task = static_cast<std::size_t>(of.task);
  const std::string scale = of.task == Task::kValue ? "" : ", " + text_of(of.scale);
  const std::string workspace = of.has_workspace && of.task != Task::kProx ? ", &workspace" : "";
  if (of.has_workspace) text += "  taut::Workspace workspace;\n";
  if (!of.is_batch) {
    return text + "  taut::" + kNames[task] + "(" + text_of(of.terms[0].regularizer) + ", x_0" +
           (of.terms[0].gradient ? ", gradient_0" : "") + scale + workspace + ");\n";
  }
  text +=
      std::string("  const std::vector<taut::") + kTerms[task] + "> terms{\n" + terms + "  };\n";
  if (of.task == Task::kProx) {
    return text + "  taut::prox(terms" + scale + (of.has_workspace ? ", &workspace" : "") + ");\n";
  }
  return text + "  std::vector<double> values(" + std::to_string(of.values) +
         ");\n  taut::" + kNames[task] + "(terms" + scale + ", values" + workspace + ");\n";
}

}  // namespace taut_test
