/*
 * part_types.c
 *		What the types of parts mean, whoever has named them.
 *
 * A row says what kind of part it is and whose; of a tool that a provider brings, also
 * whether it is a call or an output, and where the id stands by which the two find one
 * another.  A type that is not here is told by its beginning, or kept (message_parts.c).
 *
 * Nothing is locked and nothing refused.
 */
#include "export/convert.h"

#include "json/jsonb_util.h"

static const PartType part_types[] = {
	{"text", PART_TEXT, ORIGIN_ANY},
	{"input_text", PART_TEXT, ORIGIN_RESPONSES},
	{"output_text", PART_TEXT, ORIGIN_RESPONSES},
	{"refusal", PART_TEXT, ORIGIN_OPENAI},
	{"thinking", PART_REASONING, ORIGIN_ANTHROPIC},
	{"redacted_thinking", PART_REASONING, ORIGIN_ANTHROPIC},
	{"reasoning", PART_REASONING, ORIGIN_RESPONSES},
	{"reasoning_text", PART_REASONING, ORIGIN_ANY},
	{"summary_text", PART_REASONING, ORIGIN_ANY},
	{"think", PART_REASONING, ORIGIN_ANY},
	{"tool_use", PART_CALL, ORIGIN_ANTHROPIC},
	{"tool-call", PART_CALL, ORIGIN_AI_SDK},
	{"tool_call", PART_CALL, ORIGIN_ANY},
	{"function_call", PART_CALL, ORIGIN_RESPONSES},
	{"custom_tool_call", PART_CALL, ORIGIN_RESPONSES},
	{"function", PART_CALL, ORIGIN_OPENAI},
	{"custom", PART_CALL, ORIGIN_OPENAI},
	{"tool_result", PART_RESULT, ORIGIN_ANTHROPIC},
	{"tool-result", PART_RESULT, ORIGIN_AI_SDK},
	{"tool_call_response", PART_RESULT, ORIGIN_ANY},
	{"function_call_output", PART_RESULT, ORIGIN_RESPONSES},
	{"custom_tool_call_output", PART_RESULT, ORIGIN_RESPONSES},
	{"image_url", PART_MEDIA, ORIGIN_OPENAI},
	{"input_audio", PART_MEDIA, ORIGIN_OPENAI},
	{"output_audio", PART_MEDIA, ORIGIN_RESPONSES},
	{"audio", PART_MEDIA, ORIGIN_ANY},
	{"video", PART_MEDIA, ORIGIN_ANY},
	{"text-plain", PART_MEDIA, ORIGIN_ANY},
	{"file", PART_MEDIA, ORIGIN_ANY},
	{"image", PART_MEDIA, ORIGIN_ANY},
	{"document", PART_MEDIA, ORIGIN_ANTHROPIC},
	{"input_image", PART_MEDIA, ORIGIN_RESPONSES},
	{"input_file", PART_MEDIA, ORIGIN_RESPONSES},
	{"blob", PART_MEDIA, ORIGIN_ANY},
	{"uri", PART_MEDIA, ORIGIN_ANY},
	{"inlineData", PART_MEDIA, ORIGIN_GEMINI},
	{"inline_data", PART_MEDIA, ORIGIN_GEMINI},
	{"fileData", PART_MEDIA, ORIGIN_GEMINI},
	{"file_data", PART_MEDIA, ORIGIN_GEMINI},
	{"inlineImage", PART_MEDIA, ORIGIN_GEMINI},
	{"inlineFile", PART_MEDIA, ORIGIN_GEMINI},
	{"executableCode", PART_OTHER, ORIGIN_GEMINI},
	{"executable_code", PART_OTHER, ORIGIN_GEMINI},
	{"codeExecutionResult", PART_OTHER, ORIGIN_GEMINI},
	{"code_execution_result", PART_OTHER, ORIGIN_GEMINI},
	{"toolCall", PART_OTHER, ORIGIN_GEMINI},
	{"toolResponse", PART_OTHER, ORIGIN_GEMINI},
	{"server_tool_use", PART_OTHER, ORIGIN_ANTHROPIC, CALL_FOR_PROVIDER, {"id"}},
	{"mcp_tool_use", PART_OTHER, ORIGIN_ANTHROPIC, CALL_FOR_PROVIDER, {"id"}},
	{"mcp_tool_result", PART_OTHER, ORIGIN_ANTHROPIC, BUILT_IN_OUTPUT, {"tool_use_id"}},
	{"web_search_tool_result", PART_OTHER, ORIGIN_ANTHROPIC, BUILT_IN_OUTPUT, {"tool_use_id"}},
	{"web_fetch_tool_result", PART_OTHER, ORIGIN_ANTHROPIC, BUILT_IN_OUTPUT, {"tool_use_id"}},
	{"code_execution_tool_result", PART_OTHER, ORIGIN_ANTHROPIC, BUILT_IN_OUTPUT,
	{"tool_use_id"}},
	{"bash_code_execution_tool_result", PART_OTHER, ORIGIN_ANTHROPIC, BUILT_IN_OUTPUT,
	{"tool_use_id"}},
	{"text_editor_code_execution_tool_result", PART_OTHER, ORIGIN_ANTHROPIC, BUILT_IN_OUTPUT,
	{"tool_use_id"}},
	{"tool_search_tool_result", PART_OTHER, ORIGIN_ANTHROPIC, BUILT_IN_OUTPUT, {"tool_use_id"}},
	{"search_result", PART_OTHER, ORIGIN_ANTHROPIC},
	{"container_upload", PART_OTHER, ORIGIN_ANTHROPIC},
	{"web_search_call", PART_OTHER, ORIGIN_RESPONSES},
	{"file_search_call", PART_OTHER, ORIGIN_RESPONSES},
	{"code_interpreter_call", PART_OTHER, ORIGIN_RESPONSES},
	{"image_generation_call", PART_OTHER, ORIGIN_RESPONSES},
	{"computer_call", PART_OTHER, ORIGIN_RESPONSES, CALL_FOR_CLIENT, {"call_id"}},
	{"computer_call_output", PART_OTHER, ORIGIN_RESPONSES, BUILT_IN_OUTPUT, {"call_id"}},
	{"local_shell_call", PART_OTHER, ORIGIN_RESPONSES, CALL_FOR_CLIENT, {"call_id"}},
	{"local_shell_call_output", PART_OTHER, ORIGIN_RESPONSES, BUILT_IN_OUTPUT, {"call_id", "id"}},
	{"shell_call", PART_OTHER, ORIGIN_RESPONSES, CALL_FOR_CLIENT, {"call_id"}},
	{"shell_call_output", PART_OTHER, ORIGIN_RESPONSES, BUILT_IN_OUTPUT, {"call_id"}},
	{"apply_patch_call", PART_OTHER, ORIGIN_RESPONSES, CALL_FOR_CLIENT, {"call_id"}},
	{"apply_patch_call_output", PART_OTHER, ORIGIN_RESPONSES, BUILT_IN_OUTPUT, {"call_id"}},
	{"mcp_call", PART_OTHER, ORIGIN_RESPONSES},
	{"mcp_list_tools", PART_OTHER, ORIGIN_RESPONSES},
	{"mcp_approval_request", PART_OTHER, ORIGIN_RESPONSES},
	{"mcp_approval_response", PART_OTHER, ORIGIN_RESPONSES},
	{"tool_search_call", PART_OTHER, ORIGIN_RESPONSES},
	{"tool_search_output", PART_OTHER, ORIGIN_RESPONSES},
	{"program", PART_OTHER, ORIGIN_RESPONSES},
	{"program_output", PART_OTHER, ORIGIN_RESPONSES},
	{"compaction", PART_OTHER, ORIGIN_RESPONSES},
	{"source-url", PART_OTHER, ORIGIN_AI_SDK},
	{"source-document", PART_OTHER, ORIGIN_AI_SDK},
};

/* What a type means; NULL for one that is not known */
const PartType *
part_type_of(const JsonbValue *type)
{
	for (int i = 0; i < lengthof(part_types); i++)
	{
		if (jsonb_string_is(type, part_types[i].type))
			return &part_types[i];
	}
	return NULL;
}
